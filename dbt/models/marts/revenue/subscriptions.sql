{{
    config(
        materialized='table',
        tags=['nightly'],
        order_by=['subscription_id'],
        post_hook="{{ commit_watermark(['int_subscription_events']) }}"
    )
}}

with

latest as (
    select
        subscription_id,
        argMax(visitor_id, {{ event_order() }}) as visitor_id,
        argMax(subscription_kind, {{ event_order() }}) = 'cancelled' as is_cancelled,
        argMaxIf(plan_name, {{ event_order() }}, plan_name != '') as plan_name,
        argMaxIf(currency, {{ event_order() }}, mrr_amount is not null and currency != '') as price_currency,
        argMaxIf(coalesce(mrr_amount, 0), {{ event_order() }}, mrr_amount is not null) as price,
        min(occurred_at) as started_at,
        max(occurred_at) as last_event_at,
        countIf(subscription_kind = 'renewed') as renewal_count
    from {{ ref('int_subscription_events') }} {{ final() }}
    where _version <= {{ high_watermark(['int_subscription_events']) }}
    group by subscription_id
)

select
    subscription_id,
    visitor_id,
    toLowCardinality(if(is_cancelled, 'cancelled', 'active')) as status,
    toLowCardinality(plan_name) as plan_name,
    toLowCardinality(if(price_currency = '', '{{ var('default_currency') }}', price_currency)) as currency,
    if(is_cancelled, toDecimal128(0, 4), price) as mrr_amount,
    started_at,
    if(is_cancelled, last_event_at, null) as cancelled_at,
    renewal_count,
    {{ high_watermark(['int_subscription_events']) }} as refreshed_at
from latest
