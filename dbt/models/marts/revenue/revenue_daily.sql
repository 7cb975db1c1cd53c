{{
    config(
        order_by=['revenue_date', 'currency'],
        partition_by='toYYYYMM(revenue_date)',
        post_hook=[
            "{{ drop_emptied_partitions(
                'revenue_date',
                changed_days('int_visitor_days', 'activity_date'),
                ['int_events', 'int_visitor_days', 'int_orders']
            ) }}",
            "{{ commit_watermark(['int_events', 'int_visitor_days', 'int_orders']) }}"
        ]
    )
}}

{%- set high = high_watermark(['int_events', 'int_visitor_days', 'int_orders']) %}

with

{% if is_incremental() %}
    days as (
        select activity_date as revenue_date from {{ changed_days('int_visitor_days', 'activity_date') }}
        union distinct
        select order_date from {{ changed_days('int_orders', 'order_date') }}
    ),

{% endif %}

lines as (
    select
        event_date as revenue_date,
        currency,
        order_id,
        visitor_id,
        revenue_kind,
        coalesce(revenue_amount, 0) as amount
    from {{ ref('int_events') }} {{ final() }}
    where
        revenue_kind != ''
        and _version <= {{ high }}
        {% if is_incremental() %}
            and event_date in (select revenue_date from days)
        {% endif %}
),

-- An order whose lines lie on several days counts on the first of them.
orders as (
    select
        order_id,
        currency,
        min(order_date) as order_date
    from {{ ref('int_orders') }}
    {% if is_incremental() %}
        where (order_id, currency) in (select order_id, currency from lines)
    {% endif %}
    group by order_id, currency
),

totals as (
    select
        lines.revenue_date as revenue_date,
        lines.currency as currency,
        uniqExactIf(
            lines.order_id, lines.revenue_kind = 'sale' and lines.revenue_date = orders.order_date
        ) as order_count,
        sumIf(lines.amount, lines.revenue_kind = 'sale') as gross_revenue_amount,
        sumIf(abs(lines.amount), lines.revenue_kind = 'refund') as refund_amount,
        uniqExactIf(lines.order_id, lines.revenue_kind = 'refund') as refund_count,
        uniqExactIf(lines.visitor_id, lines.revenue_kind = 'sale') as buyer_count
    from lines
    left join orders on lines.order_id = orders.order_id and lines.currency = orders.currency
    group by revenue_date, currency
)

select
    revenue_date,
    currency,
    order_count,
    gross_revenue_amount,
    refund_amount,
    gross_revenue_amount - refund_amount as net_revenue_amount,
    refund_count,
    buyer_count,
    if(order_count > 0, toFloat64(gross_revenue_amount) / order_count, null) as average_order_amount,
    {{ high }} as refreshed_at
from totals
{% if is_incremental() %}
    union all
    {{ unchanged_days_of_replaced_months('revenue_date', 'days') }}
{% endif %}
