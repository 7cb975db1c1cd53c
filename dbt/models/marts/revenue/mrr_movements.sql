{%- set upstreams = ['int_events', 'int_subscription_events'] -%}

{{
    config(
        order_by=['movement_date', 'subscription_id', 'moved_at', 'event_id'],
        partition_by='toYYYYMM(movement_date)',
        post_hook=[
            "{{ drop_emptied_partitions(
                'movement_date', days_of_changed_subscriptions(), ['int_events', 'int_subscription_events']
            ) }}",
            "{{ commit_watermark(['int_events', 'int_subscription_events']) }}"
        ]
    )
}}

{%- set high = high_watermark(upstreams) %}

with

{% if is_incremental() %}
    days as (select event_date as movement_date from {{ days_of_changed_subscriptions() }}),

{% endif %}

-- The whole story of every subscription with an event on one of the days.
events as (
    select *
    from {{ ref('int_subscription_events') }} {{ final() }}
    {% if is_incremental() %}
        where subscription_id in (
            select if(subscription_id != '', subscription_id, visitor_id)
            from {{ ref('int_events') }}
            where event_date in (select movement_date from days) and subscription_kind != ''
        )
    {% endif %}
),

-- What an event does not say stays as it was said before.
told as (
    select
        *,
        subscription_kind = 'cancelled' as is_cancelled,
        coalesce(anyLast(mrr_amount) over so_far, 0) as price,
        coalesce(
            anyLast(nullIf(if(mrr_amount is null, '', toString(currency)), '')) over so_far, '{{ var('default_currency') }}'
        ) as price_currency,
        coalesce(anyLast(nullIf(toString(plan_name), '')) over so_far, '') as plan
    from events
    window so_far as (
        partition by subscription_id order by occurred_at, event_id rows between unbounded preceding and current row
    )
),

priced as (select *, if(is_cancelled, toDecimal128(0, 4), price) as mrr from told),

compared as (
    select
        *,
        lagInFrame(mrr, 1) over so_far as mrr_before,
        lagInFrame(price_currency, 1) over so_far as currency_before,
        max(mrr) over (
            partition by subscription_id order by occurred_at, event_id rows between unbounded preceding and 1 preceding
        ) > 0 as was_paid_for
    from priced
    window so_far as (
        partition by subscription_id order by occurred_at, event_id rows between unbounded preceding and current row
    )
),

-- A change of currency ends the amount in one and begins it in the other.
amounts as (
    select
        *,
        arrayJoin(
            if(
                price_currency != currency_before,
                [(currency_before, mrr_before, toDecimal128(0, 4)), (price_currency, toDecimal128(0, 4), mrr)],
                [(price_currency, mrr_before, mrr)]
            )
        ) as amount
    from compared
    {% if is_incremental() %}
        where event_date in (select movement_date from days)
    {% endif %}
)

select
    event_date as movement_date,
    occurred_at as moved_at,
    subscription_id,
    visitor_id,
    event_id,
    toLowCardinality(multiIf(
        mrr_before = 0, if(was_paid_for, 'reactivation', 'new'),
        mrr = 0, 'churn',
        amount.3 > amount.2, 'expansion',
        'contraction'
    )) as movement,
    toLowCardinality(plan) as plan_name,
    toLowCardinality(amount.1) as currency,
    amount.2 as mrr_before_amount,
    amount.3 as mrr_after_amount,
    amount.3 - amount.2 as mrr_change_amount,
    {{ high }} as refreshed_at
from amounts
where amount.2 != amount.3
{% if is_incremental() %}
    union all
    {{ unchanged_days_of_replaced_months('movement_date', 'days') }}
{% endif %}
