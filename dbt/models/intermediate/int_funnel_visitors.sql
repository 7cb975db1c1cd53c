{%- set key = 'funnel_name, visitor_id, entry_date' -%}

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
{%- set orders = funnels | map(attribute='order') | unique | list %}
{%- set longest_window = funnels | map(attribute='window_days') | max %}
{%- set properties = funnel_properties(funnels) %}
{%- set is_update = is_incremental() and not funnels_changed() and not is_bulk() %}

-- depends_on: {{ ref('stg_events') }}

with

definitions as ({{ funnel_table(funnels) }}),

{% if is_update %}
    touched as (
        {% call computed_once(['activity_date', 'visitor_id']) %}
            select activity_date, visitor_id from {{ ref('int_visitor_days') }} where _version > {{ low_watermark() }}
        {% endcall %}
    ),

    -- An event can only change the entries that lie at most the window before it.
    affected as (
        select distinct
            definitions.funnel_name as funnel_name,
            touched.visitor_id as visitor_id,
            arrayJoin({{ dates_between('touched.activity_date - definitions.window_days', 'touched.activity_date') }}) as entry_date
        from touched cross join definitions
    ),

    needed as (
        select
            visitor_id,
            arrayJoin({{ dates_between('activity_date - ' ~ longest_window, 'activity_date + ' ~ longest_window) }}) as event_date
        from touched
    ),

{% endif %}
events as (
    select *
    from {{ ref('int_events') }} {{ final() }}
    where
        _version <= {{ high }}
        {% if 'strict' not in orders %}
            and event_name in ({{ quoted(funnel_event_names(funnels)) }})
        {% endif %}
        {% if is_update %}
            and (event_date, visitor_id) in (select event_date, visitor_id from needed)
        {% endif %}
),

{% if properties %}
    texts as (
        select event_id, {{ property_texts(properties.names) }} as said
        from {{ ref('stg_events') }} {{ final() }}
        where
            event_name in ({{ quoted(properties.events) }})
            {% if is_update %}
                and (event_date, visitor_id) in (select event_date, if(user_id != '', user_id, anonymous_id) from events)
            {% endif %}
    ),

{% endif %}
-- What happened on a day, and which events of the day may begin a chain.
days as (
    select
        mark.1 as funnel_number,
        events.visitor_id as visitor_id,
        events.event_date as event_date,
        groupArrayIf({{ moment('events.occurred_at', 'mark.2') }}, mark.4) as beginnings,
        groupArrayIf({{ moment('events.occurred_at', 'mark.2') }}, not mark.4) as others,
        max(bitAnd(mark.2, mark.3) > 0) as is_entry,
        groupUniqArrayIf((events.occurred_at, mark.5), bitAnd(mark.2, mark.3) > 0 and notEmpty(mark.5)) as starts
    from events
    {{ 'left join texts on events.event_id = texts.event_id' if properties }}
    array join {{ funnel_marks(funnels) }} as mark
    where mark.2 > 0 or mark.1 in (select funnel_number from definitions where step_order = 'strict')
    group by funnel_number, visitor_id, event_date
),

-- What can only begin a chain is nothing to the entries of earlier days.
spans as (
    select
        *,
        groupArrayArray(others) over (
            partition by funnel_number, visitor_id order by event_date
            range between current row and {{ longest_window }} following
        ) as following
    from days
),

entries as (
    select
        definitions.*,
        spans.visitor_id as visitor_id,
        spans.event_date as entry_date,
        spans.starts as starts,
        {{ moment("toDateTime64(entry_date + 1, 3, 'UTC')", 0) }} as entry_ends_at,
        entry_ends_at + bitShiftLeft(toUInt64(definitions.window_ms), 16) as window_ends_at,
        arraySort(arrayConcat(spans.beginnings, arrayFilter(moment -> moment < window_ends_at, spans.following))) as moments
    from spans
    inner join definitions on spans.funnel_number = definitions.funnel_number
    where spans.is_entry
),

chains as ({{ chains_of_entries(funnels) }}),

fresh as (
    select
        {{ key }},
        toUInt8(length(step_times)) as level,
        arrayMap(
            moment -> fromUnixTimestamp64Milli(toInt64({{ moment_ms('moment') }}), 'UTC'), {{ deepest_chain(orders) }}
        ) as step_times,
        -- Of several first steps at one time the one with the least attributes.
        cast(arraySort(arrayFilter(start -> start.1 = step_times[1], starts))[1].2, 'Map(String, String)') as attributes
    from chains
    {{ 'where (' ~ key ~ ') in (select ' ~ key ~ ' from affected)' if is_update }}
),

compared as (
    select *, sipHash64(step_times, attributes) as content, toUInt8(0) as _is_deleted from fresh
    {% if is_incremental() %}
        union all
        -- Some of these have lost their first step to an erasure, or their funnel is no longer declared.
        select {{ key }}, toUInt8(0), [], map(), sipHash64(step_times, attributes), toUInt8(1)
        from {{ this }} {{ final() }}
        {{ 'where (' ~ key ~ ') in (select ' ~ key ~ ' from affected)' if is_update }}
    {% endif %}
)

select * except (content, _is_deleted), {{ high }} as _version, _is_deleted
from compared
{{ qualify_changes(key, 'content') if is_incremental() }}
