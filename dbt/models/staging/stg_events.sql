{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        unique_key=['event_date', 'visitor_id', 'occurred_at', 'event_id'],
        engine='ReplacingMergeTree()',
        order_by=['event_date', 'visitor_id', 'occurred_at', 'event_id'],
        partition_by='toYYYYMM(event_date)',
        indexes=[minmax_index('inserted_at')],
        post_hook="{{ commit_watermark(['batch_window', 'stg_event_arrivals']) }}"
    )
}}

with

arrived as (
    select *
    from {{ source('raw', 'events') }}
    where
        inserted_at <= {{ high_watermark(['batch_window', 'stg_event_arrivals']) }}
        {% if is_incremental() %}
            and inserted_at > {{ low_watermark() }}
        {% endif %}
),

-- The first arrival of an event id wins. Among the rows of one insert the order is arbitrary but always the same.
firsts_of_batch as (
    select *
    from arrived
    order by
        inserted_at, received_at, occurred_at,
        sipHash64(event_name, event_type, user_id, anonymous_id, session_id, source, properties, context)
    limit 1 by event_id
),

firsts as (
    select *
    from firsts_of_batch
    {% if is_incremental() %}
        where
            {{ event_key('event_id') }} not in (
                select event_key
                from {{ ref('stg_event_arrivals') }}
                where
                    event_key in (select {{ event_key('event_id') }} from arrived)
                    and first_inserted_at <= {{ low_watermark() }}
            )
    {% endif %}
),

extracted as (
    select
        *,
        JSONExtract(
            properties, 'Tuple(page String, path String, url String, currency String, order_id String)'
        ) as known,
        -- As text and to the last digit: ClickHouse reads JSON numbers as floats, so the number is cut out of the text where
        -- its place is beyond doubt.
        multiIf(
            position(properties, 'revenue') = 0, '',
            countSubstrings(properties, '"revenue"') = 1
            and (JSONHas(properties, 'revenue') or not isValidJSON(properties)),
            trimBoth(extract(properties, '"revenue"\\s*:\\s*("[^"]*"|[^\\s",}]+)'), '"'),
            JSONExtractString(properties, 'revenue')
        ) as revenue_text
    from firsts
),

typed as (
    select
        event_id,
        event_name,
        event_type,
        if(user_id != '', user_id, anonymous_id) as visitor_id,
        user_id,
        anonymous_id,
        session_id as client_session_id,
        -- No clock is right before 1971 or a day ahead of the arrival: such an event counts when it was received.
        if(
            occurred_at between toDateTime64('1971-01-01 00:00:00', 3, 'UTC') and received_at + toIntervalDay(1),
            occurred_at, received_at
        ) as event_time,
        received_at,
        inserted_at,
        source,
        coalesce(
            nullIf(known.page, ''), nullIf(known.path, ''), nullIf(known.url, ''), JSONExtractString(context, 'page', 'path')
        ) as location,
        if(position(location, '://') > 0, path(location), cutQueryStringAndFragment(location)) as page,
        multiIf(
            event_name in ({{ quoted(var('sale_events')) }}), 'sale',
            event_name in ({{ quoted(var('refund_events')) }}), 'refund',
            ''
        ) as kind,
        {{ decimal_amount('revenue_text') }} as revenue_amount,
        multiIf(
            kind = '', '', known.currency = '', '{{ var('default_currency') }}', upper(trimBoth(known.currency))
        ) as currency_code,
        if(kind != '' and known.order_id = '', event_id, known.order_id) as order_id,
        properties,
        context
    from extracted
)

select
    event_id,
    event_name,
    event_type,
    visitor_id,
    user_id,
    anonymous_id,
    client_session_id,
    event_time as occurred_at,
    toDate(event_time) as event_date,
    received_at,
    inserted_at,
    source,
    page,
    toLowCardinality(kind) as revenue_kind,
    revenue_amount,
    toLowCardinality(currency_code) as currency,
    order_id,
    properties,
    context
from typed
