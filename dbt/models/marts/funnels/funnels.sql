{{
    config(
        order_by=['entry_date', 'funnel_name', 'step_number'],
        partition_by='toYYYYMM(entry_date)',
        post_hook=[
            "{{ drop_emptied_partitions(
                'entry_date', changed_days('int_funnel_visitors', 'entry_date'), ['int_funnel_visitors']
            ) }}",
            "{{ drop_months_without_entries(funnel_definitions()) }}",
            "{{ commit_funnel_declaration(['int_funnel_visitors']) }}",
            "{{ commit_watermark(['int_funnel_visitors']) }}"
        ]
    )
}}

{%- set is_update = is_incremental() and not funnels_changed() %}

with

definitions as ({{ funnel_table(funnel_definitions()) }}),

{% if is_update %}
    days as (
        select entry_date from {{ changed_days('int_funnel_visitors', 'entry_date') }}
    ),

{% endif %}
entries as (
    select
        funnel_name,
        entry_date,
        arrayMap(step_time -> toUnixTimestamp64Milli(step_time), step_times) as moments,
        arrayMap(moment -> moment - moments[1], moments) as since_entry,
        arrayDifference(moments) as since_previous
    from {{ ref('int_funnel_visitors') }} {{ final() }}
    {% if is_update %}
        where entry_date in (select entry_date from days)
    {% endif %}
),

-- Of each step in turn, as deep as anybody came: a visitor who reached a step has reached the steps before it.
reached as (
    select
        funnel_name,
        entry_date,
        countForEach(moments) as visitors,
        quantilesExactInclusiveForEach(0.5, 0.9)(since_entry) as since_entry,
        quantilesExactInclusiveForEach(0.5, 0.9)(since_previous) as since_previous
    from entries
    group by funnel_name, entry_date
),

steps as (
    select
        reached.*,
        definitions.step_names as step_names,
        definitions.step_order as step_order,
        definitions.window_ms / 1000 as window_seconds,
        arrayJoin(arrayEnumerate(definitions.step_names)) as step_number,
        reached.visitors[step_number] as visitor_count,
        if(step_number = 1, null, reached.visitors[step_number - 1]) as previous_count
    from reached
    inner join definitions on reached.funnel_name = definitions.funnel_name
)

select
    funnel_name,
    entry_date,
    toUInt8(step_number) as step_number,
    step_names[step_number] as step_name,
    visitor_count,
    toNullable(visitor_count / visitors[1]) as conversion_rate,
    visitor_count / nullIf(previous_count, 0) as step_conversion_rate,
    toUInt64(previous_count - visitor_count) as drop_off_count,
    (previous_count - visitor_count) / nullIf(previous_count, 0) as drop_off_rate,
    {% for column, duration in {'step': 'since_previous', 'total': 'since_entry'}.items() %}
        {% for percentile in [50, 90] %}
            if(
                step_number > 1 and visitor_count > 0,
                {{ duration }}[step_number][{{ loop.index }}] / 1000,
                null
            ) as {{ column }}_seconds_p{{ percentile }},
        {% endfor %}
    {% endfor %}
    window_seconds,
    toLowCardinality(step_order) as step_order,
    {{ high_watermark(['int_funnel_visitors']) }} as refreshed_at
from steps
{% if is_update %}
    union all
    {{ unchanged_days_of_replaced_months('entry_date', 'days') }}
{% endif %}
