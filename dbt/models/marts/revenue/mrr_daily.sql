{{
    config(
        materialized='table',
        tags=['nightly'],
        order_by=['mrr_date', 'currency'],
        post_hook="{{ commit_watermark(['mrr_movements', 'events_daily']) }}"
    )
}}

{%- set movements = ['new', 'expansion', 'contraction', 'churn', 'reactivation'] %}

with

moved as (
    select
        movement_date as mrr_date,
        currency,
        {% for movement in movements %}
            sumIf(abs(mrr_change_amount), movement = '{{ movement }}') as {{ movement }}_amount,
        {% endfor %}
        sum(mrr_change_amount) as change_amount,
        countIf(movement = 'new') as new_count,
        countIf(movement = 'churn') as churn_count,
        countIf(movement = 'reactivation') as reactivation_count,
        toInt64(countIf(mrr_before_amount = 0)) - toInt64(countIf(mrr_after_amount = 0)) as change_count
    from {{ ref('mrr_movements') }}
    group by mrr_date, currency
),

spans as (
    select
        currency,
        min(mrr_date) as first_date,
        greatest(max(mrr_date), assumeNotNull((select max(event_date) from {{ ref('events_daily') }}))) as last_date
    from moved
    group by currency
),

days as (
    select currency, arrayJoin({{ dates_between('first_date', 'last_date') }}) as mrr_date
    from spans
),

figures as (
    select
        days.mrr_date as mrr_date,
        days.currency as currency,
        sum(moved.change_amount) over up_to_now as mrr_amount,
        {% for movement in movements %}
            coalesce(moved.{{ movement }}_amount, 0) as {{ movement }}_mrr_amount,
        {% endfor %}
        coalesce(moved.change_amount, 0) as net_new_mrr_amount,
        sum(moved.change_count) over up_to_now as subscription_count,
        coalesce(moved.new_count, 0) as new_subscription_count,
        coalesce(moved.churn_count, 0) as churned_subscription_count,
        coalesce(moved.reactivation_count, 0) as reactivated_subscription_count
    from days
    left join moved on days.mrr_date = moved.mrr_date and days.currency = moved.currency
    window up_to_now as (
        partition by days.currency order by days.mrr_date rows between unbounded preceding and current row
    )
)

select
    figures.mrr_date as mrr_date,
    figures.currency as currency,
    assumeNotNull(figures.mrr_amount) as mrr_amount,
    {% for movement in movements %}
        figures.{{ movement }}_mrr_amount as {{ movement }}_mrr_amount,
    {% endfor %}
    figures.net_new_mrr_amount as net_new_mrr_amount,
    toUInt64(assumeNotNull(figures.subscription_count)) as subscription_count,
    figures.new_subscription_count as new_subscription_count,
    figures.churned_subscription_count as churned_subscription_count,
    figures.reactivated_subscription_count as reactivated_subscription_count,
    {{ in_reporting_currency('figures.mrr_amount', 'figures.currency', 'rates.rate') }} as reporting_mrr_amount,
    {{ high_watermark(['mrr_movements', 'events_daily']) }} as refreshed_at
from figures
asof left join {{ ref('currency_rates') }} as rates
    on figures.currency = rates.currency and figures.mrr_date >= rates.valid_from
