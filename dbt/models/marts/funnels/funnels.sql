{{
    config(
        order_by=['entry_date', 'funnel_name', 'step_number'],
        partition_by='toYYYYMM(entry_date)',
        post_hook=[
            "{{ drop_emptied_partitions(
                'entry_date', changed_days('int_funnel_visitors', 'entry_date'), ['int_funnel_visitors']
            ) }}",
            "{{ commit_funnel_declaration(['int_funnel_visitors']) }}",
            "{{ commit_watermark(['int_funnel_visitors']) }}"
        ]
    )
}}

{%- set is_update = is_incremental() and not funnels_changed() %}

with

definitions as (
    {% for funnel in funnel_definitions() %}
        select
            toLowCardinality('{{ funnel.name }}') as funnel_name,
            [{{ quoted(funnel.steps) }}] as steps,
            {{ funnel.window_ms }} / 1000 as window_seconds
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

{% if is_update %}
    days as (
        select entry_date from {{ changed_days('int_funnel_visitors', 'entry_date') }}
    ),

{% endif %}

levels as (
    select
        funnel_name,
        entry_date,
        level,
        count() as visitors
    from {{ ref('int_funnel_visitors') }} {{ final() }}
    {% if is_update %}
        where entry_date in (select entry_date from days)
    {% endif %}
    group by funnel_name, entry_date, level
),

steps as (
    select
        definitions.funnel_name as funnel_name,
        levels.entry_date as entry_date,
        arrayJoin(arrayEnumerate(definitions.steps)) as step_number,
        definitions.steps[step_number] as step_name,
        definitions.window_seconds as window_seconds,
        -- A visitor who reached a step has reached the steps before it.
        if(levels.level >= step_number, levels.visitors, 0) as visitors
    from levels
    inner join definitions on levels.funnel_name = definitions.funnel_name
),

reached as (
    select
        funnel_name,
        entry_date,
        step_number,
        step_name,
        window_seconds,
        sum(visitors) as visitor_count
    from steps
    group by funnel_name, entry_date, step_number, step_name, window_seconds
)

select
    funnel_name,
    entry_date,
    toUInt8(step_number) as step_number,
    step_name,
    toUInt64(visitor_count) as visitor_count,
    toNullable(visitor_count / first_value(visitor_count) over in_order) as conversion_rate,
    if(
        step_number = 1,
        null,
        visitor_count / nullIf(lagInFrame(visitor_count) over in_order, 0)
    ) as step_conversion_rate,
    window_seconds,
    {{ high_watermark(['int_funnel_visitors']) }} as refreshed_at
from reached
window in_order as (
    partition by funnel_name, entry_date order by step_number rows between unbounded preceding and current row
)
{% if is_update %}
    union all
    {{ unchanged_days_of_replaced_months('entry_date', 'days') }}
{% endif %}
