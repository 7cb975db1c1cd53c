{{
    config(
        unique_key=['entry_date', 'funnel_name', 'visitor_id'],
        engine='ReplacingMergeTree(_version, _is_deleted)',
        order_by=['entry_date', 'funnel_name', 'visitor_id'],
        partition_by='toYYYYMM(entry_date)',
        indexes=[minmax_index('_version')],
        group='growth',
        post_hook=[
            "{{ commit_funnel_declaration(['int_events', 'int_visitor_days']) }}",
            "{{ commit_watermark(['int_events', 'int_visitor_days']) }}"
        ]
    )
}}

{%- set high = high_watermark(['int_events', 'int_visitor_days']) %}
{%- set funnels = funnel_definitions() %}
{%- set is_update = is_incremental() and not funnels_changed() and not is_bulk() %}

with

definitions as (
    {% for funnel in funnels %}
        select '{{ funnel.name }}' as funnel_name, {{ funnel.window_days }} as window_days, [{{ quoted(funnel.steps) }}] as steps
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

{% if is_update %}
    touched as (
        select activity_date, visitor_id from {{ ref('int_visitor_days') }} where _version > {{ low_watermark() }}
    ),

    -- An event can only change the entries that lie at most the window before it.
    affected as (
        select distinct
            definitions.funnel_name as funnel_name,
            touched.visitor_id as visitor_id,
            arrayJoin({{ dates_between('touched.activity_date - definitions.window_days', 'touched.activity_date') }}) as entry_date
        from touched
        cross join definitions
    ),

    needed as (
        select distinct
            visitor_id,
            arrayJoin({{ dates_between(
                'activity_date - (select max(window_days) from definitions)',
                'activity_date + (select max(window_days) from definitions)'
            ) }}) as event_date
        from touched
    ),

{% endif %}

step_events as (
    select
        visitor_id,
        event_date,
        occurred_at,
        event_name
    from {{ ref('int_events') }} {{ final() }}
    where
        _version <= {{ high }}
        and event_name in (select arrayJoin(steps) from definitions)
        {% if is_update %}
            and (event_date, visitor_id) in (select event_date, visitor_id from needed)
        {% endif %}
),

entries as (
    select distinct
        definitions.funnel_name as funnel_name,
        definitions.window_days as window_days,
        step_events.visitor_id as visitor_id,
        step_events.event_date as entry_date
    from step_events
    inner join definitions on step_events.event_name = definitions.steps[1]
    {% if is_update %}
        where (funnel_name, visitor_id, entry_date) in (select funnel_name, visitor_id, entry_date from affected)
    {% endif %}
),

-- What a visitor did from the day of entry until the window of an entry on that day is over.
chains as (
    select
        entries.funnel_name as funnel_name,
        entries.visitor_id as visitor_id,
        entries.entry_date as entry_date,
        step_events.event_name as event_name,
        step_events.event_date as event_date,
        toUInt64(toUnixTimestamp64Milli(step_events.occurred_at)) as occurred_ms
    from entries
    inner join step_events on entries.visitor_id = step_events.visitor_id
    where step_events.event_date between entries.entry_date and entries.entry_date + entries.window_days
),

fresh as (
    {% for funnel in funnels %}
        select
            funnel_name,
            visitor_id,
            entry_date,
            windowFunnel({{ funnel.window_ms }})(
                occurred_ms,
                event_name = {{ quoted([funnel.steps[0]]) }} and event_date = entry_date
                {%- for step in funnel.steps[1:] %},
                event_name = {{ quoted([step]) }}{% endfor %}
            ) as level
        from chains
        where funnel_name = '{{ funnel.name }}'
        group by funnel_name, visitor_id, entry_date
        {{ 'union all' if not loop.last }}
    {% endfor %}
)

{% if is_incremental() %}
    ,

    stored as (
        select funnel_name, visitor_id, entry_date, level
        from {{ this }} {{ final() }}
        {% if is_update %}
            where (funnel_name, visitor_id, entry_date) in (select funnel_name, visitor_id, entry_date from affected)
        {% endif %}
    )
{% endif %}

select toLowCardinality(funnel_name) as funnel_name, visitor_id, entry_date, level, {{ high }} as _version, toUInt8(0) as _is_deleted
from fresh
{% if is_incremental() %}
    where (funnel_name, visitor_id, entry_date, level) not in (select funnel_name, visitor_id, entry_date, level from stored)
    union all
    -- Entries whose first step was erased, or whose funnel is no longer declared.
    select funnel_name, visitor_id, entry_date, toUInt8(0), {{ high }}, toUInt8(1)
    from stored
    where (funnel_name, visitor_id, entry_date) not in (select funnel_name, visitor_id, entry_date from fresh)
{% endif %}
