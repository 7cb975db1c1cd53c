{{
    config(
        order_by=['arrival_date', 'source'],
        partition_by='toYYYYMM(arrival_date)',
        post_hook=[
            "{{ drop_emptied_partitions('arrival_date', arrival_days(high_watermark(['stg_events'])), ['stg_events']) }}",
            "{{ commit_watermark(['stg_events']) }}"
        ]
    )
}}

{%- set high = high_watermark(['stg_events']) %}
{%- set is_due %}
    inserted_at <= {{ high }}
    {% if is_incremental() %}
        and toDate(inserted_at) in (select arrival_date from days)
    {% endif %}
{%- endset %}
{%- set is_synthetic %}event_name in ({{ quoted(var('synthetic_events')) }}){% endset %}

with

{% if is_incremental() %}
    days as (
        select arrival_date from {{ arrival_days(high) }}
    ),

{% endif %}

deliveries as (
    select
        toDate(inserted_at) as arrival_date,
        source,
        count() as delivery_count
    from {{ ref('stg_event_deliveries') }}
    where {{ is_due }} and not {{ is_synthetic }}
    group by arrival_date, source
),

events as (
    select
        toDate(inserted_at) as arrival_date,
        source,
        count() as event_count,
        countIf(received_at > occurred_at + toIntervalSecond({{ var('late_after_seconds') }})) as late_count,
        countIf(is_bot) as bot_count,
        quantilesExact(0.5, 0.95)(dateDiff('millisecond', received_at, inserted_at) / 1000) as delays,
        max(inserted_at) as last_inserted_at
    from {{ ref('stg_events') }} {{ final() }}
    where {{ is_due }} and not {{ is_synthetic }}
    group by arrival_date, source
),

rejections as (
    select
        toDate(inserted_at) as arrival_date,
        source,
        uniqExact(rejection_id) as rejected_count
    from {{ ref('stg_rejected_events') }}
    where {{ is_due }}
    group by arrival_date, source
),

senders as (
    select arrival_date, source from deliveries
    union distinct
    select arrival_date, source from rejections
),

counted as (
    select
        senders.arrival_date as arrival_date,
        senders.source as source,
        coalesce(deliveries.delivery_count, 0) as delivery_count,
        coalesce(events.event_count, 0) as event_count,
        coalesce(rejections.rejected_count, 0) as rejected_count,
        coalesce(events.late_count, 0) as late_count,
        coalesce(events.bot_count, 0) as bot_count,
        events.delays as delays,
        events.last_inserted_at as last_inserted_at
    from senders
    left join deliveries on senders.arrival_date = deliveries.arrival_date and senders.source = deliveries.source
    left join events on senders.arrival_date = events.arrival_date and senders.source = events.source
    left join rejections on senders.arrival_date = rejections.arrival_date and senders.source = rejections.source
)

select
    arrival_date,
    source,
    event_count,
    toUInt64(delivery_count - event_count) as duplicate_count,
    rejected_count,
    late_count,
    bot_count,
    (delivery_count - event_count) / nullIf(delivery_count, 0) as duplicate_share,
    toNullable(rejected_count / (delivery_count + rejected_count)) as rejected_share,
    late_count / nullIf(event_count, 0) as late_share,
    bot_count / nullIf(event_count, 0) as bot_share,
    arrayElementOrNull(delays, 1) as freshness_p50_seconds,
    arrayElementOrNull(delays, 2) as freshness_p95_seconds,
    last_inserted_at,
    {{ high }} as refreshed_at
from counted
{% if is_incremental() %}
    union all
    {{ unchanged_days_of_replaced_months('arrival_date', 'days') }}
{% endif %}
