{%- set upstreams = ['int_funnel_visitors', 'int_visitor_days', 'sessions'] -%}

{{
    config(
        order_by=['entry_date', 'funnel_name', 'dimension', 'dimension_value', 'step_number'],
        partition_by='toYYYYMM(entry_date)',
        post_hook=[
            "{{ drop_emptied_partitions(
                'entry_date',
                changed_days('int_funnel_visitors', 'entry_date'),
                ['int_funnel_visitors', 'int_visitor_days', 'sessions']
            ) }}",
            "{{ drop_months_without_entries(funnel_definitions() | selectattr('breakdowns')) }}",
            "{{ commit_funnel_declaration(['int_funnel_visitors', 'int_visitor_days', 'sessions']) }}",
            "{{ commit_watermark(['int_funnel_visitors', 'int_visitor_days', 'sessions']) }}"
        ]
    )
}}

{%- set funnels = funnel_definitions() %}
{%- set kinds = funnels | sum(attribute='breakdowns', start=[]) | map(attribute='of') | list %}
{%- set is_update = is_incremental() and not funnels_changed() %}

-- depends_on: {{ ref('int_sessions') }}

with

definitions as ({{ funnel_table(funnels) }}),

{% if is_update %}
    days as (
        select entry_date from {{ changed_days('int_funnel_visitors', 'entry_date') }}
        union distinct
        select activity_date from {{ changed_days('int_visitor_days', 'activity_date') }}
        union distinct
        select arrayJoin({{ dates_between('session_date', 'end_date') }})
        from {{ ref('int_sessions') }}
        where _version > {{ low_watermark() }}
    ),

{% endif %}
entries as (
    select
        funnel_name,
        entry_date,
        visitor_id,
        step_times[1] as entered_at,
        arrayMap(step_time -> dateDiff('millisecond', step_times[1], step_time), step_times) as since_entry,
        attributes,
        attributes['session'] as client_session_id
    from {{ ref('int_funnel_visitors') }} {{ final() }}
    where
        funnel_name in ({{ quoted(funnels | selectattr('breakdowns') | map(attribute='name')) or "''" }})
        {% if is_update %}
            and entry_date in (select entry_date from days)
        {% endif %}
),

{% if 'session' in kinds %}
    -- Sessions that last longer than until the next day are few.
    sessions as (
        select *
        from {{ ref('sessions') }}
        where
            session_date in (
                select arrayJoin([entry_date, entry_date - 1]) from entries
                union distinct
                select session_date from {{ ref('int_sessions') }}
                where length_days > 1 and end_date >= (select min(entry_date) from entries)
            )
            and visitor_id in (select visitor_id from entries)
    ),

{% endif %}
{% if 'visitor' in kinds %}
    visitor_days as (
        select *
        from {{ ref('int_visitor_days') }} {{ final() }}
        where activity_date in (select entry_date from entries)
    ),

{% endif %}
described as (
    select
        entries.funnel_name as funnel_name,
        entries.entry_date as entry_date,
        entries.since_entry as since_entry,
        arrayJoin({{ entry_dimensions(funnels) }}) as dimension
    from entries
    {% if 'session' in kinds %}
        asof left join sessions
            on
                entries.visitor_id = sessions.visitor_id
                and entries.client_session_id = sessions.client_session_id
                and entries.entered_at >= sessions.started_at
    {% endif %}
    {% if 'visitor' in kinds %}
        left join visitor_days
            on entries.visitor_id = visitor_days.visitor_id and entries.entry_date = visitor_days.activity_date
    {% endif %}
),

reached as (
    select
        funnel_name,
        entry_date,
        dimension.2 as dimension,
        dimension.3 as dimension_value,
        countForEach(since_entry) as visitors,
        quantilesExactInclusiveForEach(0.5, 0.9)(since_entry) as since_entry
    from described
    where dimension.1 = funnel_name
    group by funnel_name, entry_date, dimension, dimension_value
),

steps as (
    select
        reached.*,
        definitions.step_names as step_names,
        arrayJoin(arrayEnumerate(definitions.step_names)) as step_number,
        reached.visitors[step_number] as visitor_count
    from reached
    inner join definitions on reached.funnel_name = definitions.funnel_name
)

select
    funnel_name,
    entry_date,
    toLowCardinality(dimension) as dimension,
    dimension_value,
    toUInt8(step_number) as step_number,
    step_names[step_number] as step_name,
    visitor_count,
    toNullable(visitor_count / visitors[1]) as conversion_rate,
    if(step_number = 1, null, visitor_count / nullIf(visitors[step_number - 1], 0)) as step_conversion_rate,
    {% for percentile in [50, 90] %}
        if(
            step_number > 1 and visitor_count > 0, since_entry[step_number][{{ loop.index }}] / 1000, null
        ) as total_seconds_p{{ percentile }},
    {% endfor %}
    {{ high_watermark(upstreams) }} as refreshed_at
from steps
{% if is_update %}
    union all
    {{ unchanged_days_of_replaced_months('entry_date', 'days') }}
{% endif %}
