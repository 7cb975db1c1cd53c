{{
    config(
        materialized='table',
        tags=['nightly'],
        order_by=['cohort_month', 'currency', 'months_since'],
        post_hook="{{ commit_watermark(['orders']) }}"
    )
}}

with

orders as (
    select
        orders.visitor_id as visitor_id,
        orders.currency as currency,
        orders.order_number as order_number,
        toStartOfMonth(orders.first_order_date) as cohort_month,
        dateDiff('month', orders.first_order_date, orders.order_date) as months_since,
        orders.gross_revenue_amount as gross_revenue_amount,
        orders.net_revenue_amount as net_revenue_amount,
        {{ in_reporting_currency('orders.net_revenue_amount', 'orders.currency', 'rates.rate') }} as reporting_amount
    from {{ ref('orders') }} as orders
    asof left join {{ ref('currency_rates') }} as rates
        on orders.currency = rates.currency and orders.order_date >= rates.valid_from
),

cohorts as (
    select
        cohort_month,
        uniqExact(visitor_id) as customer_count,
        groupUniqArray(currency) as currencies,
        assumeNotNull((select max(order_date) from {{ ref('orders') }})) as last_date
    from orders
    group by cohort_month
),

-- Up to the month of the last order, also where a cohort bought nothing.
months as (
    select
        cohort_month,
        customer_count,
        arrayJoin(currencies) as currency,
        arrayJoin(range(toUInt32(dateDiff('month', cohort_month, last_date) + 1))) as months_since
    from cohorts
),

sums as (
    select
        cohort_month,
        currency,
        months_since,
        uniqExact(visitor_id) as buyer_count,
        count() as order_count,
        sum(gross_revenue_amount) as gross_revenue_amount,
        sum(net_revenue_amount) as net_revenue_amount,
        sum(reporting_amount) as reporting_amount
    from orders
    group by cohort_month, currency, months_since
),

curves as (
    select
        months.cohort_month as cohort_month,
        months.currency as currency,
        months.months_since as months_since,
        months.customer_count as customer_count,
        coalesce(sums.buyer_count, 0) as buyer_count,
        coalesce(sums.order_count, 0) as order_count,
        coalesce(sums.gross_revenue_amount, 0) as gross_revenue_amount,
        coalesce(sums.net_revenue_amount, 0) as net_revenue_amount,
        sum(sums.net_revenue_amount) over up_to_now as cumulative_amount,
        sum(sums.reporting_amount) over up_to_now as reporting_cumulative_amount
    from months
    left join sums
        on months.cohort_month = sums.cohort_month and months.currency = sums.currency and months.months_since = sums.months_since
    window up_to_now as (
        partition by months.cohort_month, months.currency order by months.months_since
        rows between unbounded preceding and current row
    )
)

select
    cohort_month,
    toLowCardinality(currency) as currency,
    toUInt16(months_since) as months_since,
    customer_count,
    buyer_count,
    order_count,
    gross_revenue_amount,
    net_revenue_amount,
    coalesce(cumulative_amount, 0) as cumulative_net_revenue_amount,
    toFloat64(cumulative_net_revenue_amount) / customer_count as lifetime_value_amount,
    reporting_cumulative_amount as reporting_cumulative_net_revenue_amount,
    {{ high_watermark(['orders']) }} as refreshed_at
from curves
