{%- set upstreams = ['int_events', 'int_visitor_days', 'int_order_lines'] -%}

{{
    config(
        order_by=['revenue_date', 'currency'],
        partition_by='toYYYYMM(revenue_date)',
        post_hook=[
            "{{ drop_emptied_partitions(
                'revenue_date',
                changed_days('int_visitor_days', 'activity_date'),
                ['int_events', 'int_visitor_days', 'int_order_lines']
            ) }}",
            "{{ commit_watermark(['int_events', 'int_visitor_days', 'int_order_lines']) }}"
        ]
    )
}}

{%- set high = high_watermark(upstreams) %}

with

{% if is_incremental() %}
    -- Which line of an order is the first is due to all of them.
    days as (
        {% call computed_once(['revenue_date']) %}
            select activity_date as revenue_date from {{ changed_days('int_visitor_days', 'activity_date') }}
            union distinct
            select event_date
            from {{ ref('int_order_lines') }}
            where (order_id, currency) in (
                select order_id, currency from {{ ref('int_order_lines') }} where _version > {{ low_watermark() }}
            )
        {% endcall %}
    ),

{% endif %}

lines as (
    select
        event_date as revenue_date,
        currency,
        order_id,
        visitor_id,
        revenue_kind,
        coalesce(revenue_amount, 0) as amount,
        coalesce(tax_amount, 0) as tax,
        coalesce(shipping_amount, 0) as shipping
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
        min(event_date) as order_date
    from {{ ref('int_order_lines') }} {{ final() }}
    where
        revenue_kind = 'sale'
        {% if is_incremental() %}
            and (order_id, currency) in (
                select order_id, currency from {{ ref('int_order_lines') }} where event_date in (select revenue_date from days)
            )
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
        sum(if(lines.revenue_kind = 'refund', -abs(lines.amount), lines.amount)) as net_revenue_amount,
        uniqExactIf(lines.order_id, lines.revenue_kind = 'refund') as refund_count,
        uniqExactIf(lines.visitor_id, lines.revenue_kind = 'sale') as buyer_count,
        sumIf(lines.tax, lines.revenue_kind = 'sale') as tax_amount,
        sumIf(lines.shipping, lines.revenue_kind = 'sale') as shipping_amount
    from lines
    left join orders on lines.order_id = orders.order_id and lines.currency = orders.currency
    group by revenue_date, currency
),

active as (
    select
        activity_date,
        count() as visitors
    from {{ ref('int_visitor_days') }} {{ final() }}
    {{ 'where activity_date in (select revenue_date from days)' if is_incremental() }}
    group by activity_date
)

select
    totals.revenue_date as revenue_date,
    totals.currency as currency,
    totals.order_count as order_count,
    totals.gross_revenue_amount as gross_revenue_amount,
    totals.refund_amount as refund_amount,
    totals.net_revenue_amount as net_revenue_amount,
    totals.refund_count as refund_count,
    totals.buyer_count as buyer_count,
    if(totals.order_count > 0, toFloat64(totals.gross_revenue_amount) / totals.order_count, null) as average_order_amount,
    totals.tax_amount as tax_amount,
    totals.shipping_amount as shipping_amount,
    toFloat64(totals.gross_revenue_amount) / active.visitors as arpu_amount,
    toFloat64(totals.gross_revenue_amount) / nullIf(totals.buyer_count, 0) as arppu_amount,
    {{ in_reporting_currency('totals.gross_revenue_amount', 'totals.currency', 'rates.rate') }} as reporting_gross_revenue_amount,
    {{ in_reporting_currency('totals.refund_amount', 'totals.currency', 'rates.rate') }} as reporting_refund_amount,
    {{ in_reporting_currency('totals.net_revenue_amount', 'totals.currency', 'rates.rate') }} as reporting_net_revenue_amount,
    {{ high }} as refreshed_at
from totals
left join active on totals.revenue_date = active.activity_date
asof left join {{ ref('currency_rates') }} as rates
    on totals.currency = rates.currency and totals.revenue_date >= rates.valid_from
{% if is_incremental() %}
    union all
    {{ unchanged_days_of_replaced_months('revenue_date', 'days') }}
{% endif %}
