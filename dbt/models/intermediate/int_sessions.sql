{%- set key = 'end_date, visitor_id, client_session_id, started_at' -%}

{{
    config(
        unique_key=['end_date', 'visitor_id', 'client_session_id', 'started_at'],
        engine='ReplacingMergeTree(_version, _is_deleted)',
        order_by=['end_date', 'visitor_id', 'client_session_id', 'started_at'],
        partition_by='toYYYYMM(end_date)',
        indexes=[minmax_index('_version'), minmax_index('session_date'), minmax_index('length_days')],
        post_hook="{{ commit_watermark(['int_events', 'int_visitor_days']) }}"
    )
}}

{%- set high = high_watermark(['int_events', 'int_visitor_days']) %}
{%- set is_update = is_incremental() and not is_bulk() %}
{%- set splits = (['event_date'] if var('session_split_at_midnight') else [])
    + (['campaign_number'] if var('session_split_on_campaign_change') else []) %}
{%- set origin = ['utm_source', 'utm_medium', 'utm_campaign', 'click_id', 'referrer_host'] %}
{%- set device = ['source', 'country', 'device_type', 'os_name', 'browser_name'] %}

with

{% if is_update %}
    touched as (
        select activity_date as event_date, visitor_id from {{ ref('int_visitor_days') }} where _version > {{ low_watermark() }}
    ),

    -- A run near a touched day ends within two days of it, or lasted for days. Its earlier parts depend on no later event.
    candidates as (
        select * from {{ this }}
        where (end_date, visitor_id) in (
            select arrayJoin({{ dates_between('event_date - 1', 'event_date + 2') }}), visitor_id from touched
        )
        union distinct
        select * from {{ this }}
        where length_days > 1 and visitor_id in (select visitor_id from touched)
            and end_date >= (select min(event_date) - 1 from touched)
    ),

    stored as (
        select {{ key }}, argMax((run_started_at, run_ended_at), _version) as run,
            argMax(row_hash, _version) as stored_hash, argMax(_is_deleted, _version) as was_deleted
        from candidates group by {{ key }}
    ),

    -- Deleted rows take part: if a run died between a deletion and its replacement, this one finds those events again.
    near as (
        select distinct stored.* from stored inner join touched on stored.visitor_id = touched.visitor_id
        where touched.event_date between toDate(stored.run.1 - {{ session_gap('stored.client_session_id') }})
            and toDate(stored.run.2 + {{ session_gap('stored.client_session_id') }})
    ),

    near_spans as (
        select visitor_id, client_session_id, groupArray(run) as spans from near group by visitor_id, client_session_id
    ),

    concerned as (
        select event_date, visitor_id from touched
        union distinct
        select arrayJoin({{ dates_between('toDate(run.1)', 'toDate(run.2)') }}) as event_date, visitor_id from near
    ),

{% endif %}
-- Whole touched days and whole runs near them: no session among these events reaches beyond them.
events as (
    select present.*
    from {{ ref('int_events') }} as present {{ final() }}
    {% if is_update %}
        left join near_spans
            on present.visitor_id = near_spans.visitor_id and present.client_session_id = near_spans.client_session_id
    {% endif %}
    where
        present._version <= {{ high }}
        {% if is_update %}
            and (present.event_date, present.visitor_id) in (select event_date, visitor_id from concerned) and (
                (present.event_date, present.visitor_id) in (select event_date, visitor_id from touched)
                or arrayExists(span -> present.occurred_at between span.1 and span.2, near_spans.spans)
            )
        {% endif %}
),

{% if not is_update %}
    moments as (
        select visitor_id, client_session_id, arraySort(groupUniqArray(occurred_at)) as moments
        from events
        group by visitor_id, client_session_id
    ),

    run_starts as ({{ run_starts() }}),

{% endif %}
numbered as (
    {% set runs = runs_numbered_by_window() if is_update else runs_numbered_by_start() %}
    {{ campaigns_numbered(runs) if var('session_split_on_campaign_change') else runs }}
),

sessions as (
    select
        toDate(max(occurred_at)) as end_date,
        visitor_id,
        client_session_id,
        min(occurred_at) as started_at,
        lower(hex(sipHash128(visitor_id, client_session_id, toUnixTimestamp64Milli(min(occurred_at))))) as session_id,
        -- Anonymous events of a person that is known by now belong to the user as well.
        maxIf(visitor_id, user_id != '' or anonymous_id != visitor_id) as user_id,
        toDate(min(occurred_at)) as session_date,
        {{ 'min(min(occurred_at)) over whole_run' if splits else 'min(occurred_at)' }} as run_started_at,
        {{ 'max(max(occurred_at)) over whole_run' if splits else 'max(occurred_at)' }} as run_ended_at,
        toUInt16(dateDiff('day', run_started_at, run_ended_at)) as length_days,
        max(occurred_at) as ended_at,
        toUInt32(count()) as event_count,
        toUInt32(countIf(event_type = 'page_view')) as page_view_count,
        toUInt32(countIf(event_name in ({{ quoted(var('conversion_events')) }}))) as conversion_count,
        argMinIf(page, {{ event_order() }}, page != '') as entry_page,
        argMaxIf(page, {{ event_order() }}, page != '') as exit_page,
        toUInt32(uniqExactIf(order_id, revenue_kind = 'sale')) as order_count,
        uniqExactIf(currency, revenue_kind = 'sale') > 1 as is_mixed,
        if(is_mixed, 0, sumIf(coalesce(revenue_amount, 0), revenue_kind = 'sale')) as revenue_amount,
        toLowCardinality(if(is_mixed, 'mixed', anyIf(currency, revenue_kind = 'sale'))) as currency,
        argMin(({{ device | join(', ') }}), {{ event_order() }}) as first_event,
        argMinIf(({{ origin | join(', ') }}), {{ event_order() }}, {{ origin | join(" != '' or ") }} != '' or page != '') as entry
    from numbered
    group by {{ (['visitor_id', 'client_session_id', 'run_number'] + splits) | join(', ') }}
    {{ 'window whole_run as (partition by visitor_id, client_session_id, run_number)' if splits }}
),

named as (
    select * except (is_mixed, first_event, entry)
        {% for column in device %}, toLowCardinality(first_event.{{ loop.index }}) as {{ column }}{% endfor %}
        {% for column in origin %}, toLowCardinality(entry.{{ loop.index }}) as {{ column }}{% endfor %}
    from sessions
),

fresh as (select *, sipHash64(*) as row_hash from named)

select *, {{ high }} as _version, toUInt8(0) as _is_deleted from fresh
{% if is_update %}
    where ({{ key }}, row_hash) not in (select {{ key }}, stored_hash from stored where was_deleted = 0)
{% elif is_incremental() %}
    where ({{ key }}, row_hash) not in (select {{ key }}, row_hash from {{ this }} {{ final() }})
{% endif %}
{% if is_incremental() %}
    union all
    -- Sessions that were merged into another or start earlier now.
    select * except (_version, _is_deleted), {{ high }}, toUInt8(1)
    from {{ 'candidates' if is_update else this ~ ' ' ~ final() }}
    where ({{ key }}) not in (select {{ key }} from fresh)
        {{ 'and (' ~ key ~ ') in (select ' ~ key ~ ' from near where was_deleted = 0)' if is_update }}
    limit 1 by {{ key }}
{% endif %}
