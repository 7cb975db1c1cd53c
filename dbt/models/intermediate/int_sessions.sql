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
{%- set origin = ['utm_source', 'utm_medium', 'utm_campaign', 'click_id', 'referrer_host'] %}
{%- set device = ['source', 'country', 'device_type', 'os_name', 'browser_name'] %}
{%- set parts = ['started_at', 'ended_at', 'event_count', 'page_view_count', 'conversion_count', 'is_user', 'entry_page',
    'exit_page', 'first_event', 'entry', 'sales'] %}
{%- set part = dict(zip(parts, range(1, parts | length + 1))) %}

with

{% if is_update %}
    {{ runs_near_touched_days(key) }},

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

slices as (
    select
        visitor_id,
        client_session_id,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at,
        count() as event_count,
        countIf(event_type = 'page_view') as page_view_count,
        countIf(event_name in ({{ quoted(var('conversion_events')) }})) as conversion_count,
        -- Anonymous events of a person that is known by now belong to the user as well.
        max(user_id != '' or anonymous_id != visitor_id) as is_user,
        argMinIf(page, {{ event_order() }}, page != '') as entry_page,
        argMaxIf(page, {{ event_order() }}, page != '') as exit_page,
        argMin({{ packed(device) }}, {{ event_order() }}) as first_event,
        argMinIf({{ packed(origin) }}, {{ event_order() }}, {{ origin | join(" != '' or ") }} != '' or page != '') as entry,
        groupArrayIf((order_id, currency, coalesce(revenue_amount, 0)), revenue_kind = 'sale') as sales
    from {{ '(' ~ campaigns_numbered() ~ ')' if var('session_split_on_campaign_change') else 'events' }}
    group by visitor_id, client_session_id, {{ session_slice() }}
),

runs as (
    select
        visitor_id,
        client_session_id,
        arraySort(slice -> slice.1, groupArray(({{ parts | join(', ') }}))) as slices,
        arrayJoin({{ runs_of('slices') }}) as run
    from slices
    group by visitor_id, client_session_id
),

sessions as (
    select
        visitor_id,
        client_session_id,
        run.{{ part.started_at }}[1] as run_started_at,
        run.{{ part.ended_at }}[-1] as run_ended_at,
        arrayJoin({{ sessions_of('run') }}) as session,
        arrayFlatten(session.{{ part.sales }}) as sales,
        splitByChar('\x1f', session.{{ part.first_event }}[1]) as first_event,
        splitByChar('\x1f', arrayFirst(entry -> entry != '', session.{{ part.entry }})) as entry
    from runs
),

named as (
    select
        toDate(ended_at) as end_date,
        visitor_id,
        client_session_id,
        session.{{ part.started_at }}[1] as started_at,
        lower(hex(sipHash128(visitor_id, client_session_id, toUnixTimestamp64Milli(started_at)))) as session_id,
        if(has(session.{{ part.is_user }}, true), visitor_id, '') as user_id,
        toDate(started_at) as session_date,
        run_started_at,
        run_ended_at,
        toUInt16(dateDiff('day', run_started_at, run_ended_at)) as length_days,
        session.{{ part.ended_at }}[-1] as ended_at,
        toUInt32(arraySum(session.{{ part.event_count }})) as event_count,
        toUInt32(arraySum(session.{{ part.page_view_count }})) as page_view_count,
        toUInt32(arraySum(session.{{ part.conversion_count }})) as conversion_count,
        arrayFirst(page -> page != '', session.{{ part.entry_page }}) as entry_page,
        arrayLast(page -> page != '', session.{{ part.exit_page }}) as exit_page,
        toUInt32(length(arrayDistinct(sales.1))) as order_count,
        if(length(arrayDistinct(sales.2)) > 1, 0, arraySum(sales.3)) as revenue_amount,
        toLowCardinality(if(length(arrayDistinct(sales.2)) > 1, 'mixed', sales[1].2)) as currency
        {% for column in device %}, toLowCardinality(first_event[{{ loop.index }}]) as {{ column }}{% endfor %}
        {% for column in origin %}, toLowCardinality(entry[{{ loop.index }}]) as {{ column }}{% endfor %}
    from sessions
),

compared as (
    select *, sipHash64(*) as row_hash, toUInt8(0) as _is_deleted from named
    {% if is_incremental() %}
        union all
        -- Some of these were merged into another or start earlier now.
        select * except (_version, _is_deleted), toUInt8(1) from {{ 'near' if is_update else this ~ ' ' ~ final() }}
        {{ 'where _is_deleted = 0' if is_update }}
    {% endif %}
)

select * except (_is_deleted), {{ high }} as _version, _is_deleted
from compared
{{ qualify_changes(key, 'row_hash') if is_incremental() }}
