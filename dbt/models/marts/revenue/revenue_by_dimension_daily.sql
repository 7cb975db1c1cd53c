{%- set upstreams = ['int_events', 'int_order_lines', 'orders'] -%}

{{
    config(
        order_by=['revenue_date', 'dimension', 'dimension_value', 'currency'],
        partition_by='toYYYYMM(revenue_date)',
        post_hook=[
            "{{ drop_emptied_partitions(
                'revenue_date', changed_days('int_order_lines', 'event_date'), ['int_events', 'int_order_lines', 'orders']
            ) }}",
            "{{ commit_watermark(['int_events', 'int_order_lines', 'orders']) }}"
        ]
    )
}}

{%- set high = high_watermark(upstreams) %}

with

{% if is_incremental() %}
    changed_orders as (
        select order_id, currency from {{ ref('int_order_lines') }} where _version > {{ low_watermark() }}
        union distinct
        select order_id, currency from {{ ref('orders') }} where refreshed_at > {{ low_watermark() }}
    ),

    days as (
        select event_date as revenue_date from {{ changed_days('int_order_lines', 'event_date') }}
        union distinct
        select event_date
        from {{ ref('int_order_lines') }}
        where (order_id, currency) in (select order_id, currency from changed_orders)
    ),

{% endif %}

lines as (
    select
        event_date as revenue_date,
        order_id,
        currency,
        visitor_id,
        revenue_kind,
        if(product_id != '', product_id, product_name) as product,
        if(empty(products), coalesce(quantity, 0), arraySum(listed -> listed.3, products)) as pieces,
        if(revenue_kind = 'refund', abs(coalesce(revenue_amount, 0)), coalesce(revenue_amount, 0)) as amount,
        -- What the listed products do not account for (shipping, discounts) is no product's.
        accurateCastOrNull(
            toDecimal256(amount, 4) - arraySum(listed -> toDecimal256(listed.4, 4), products), 'Decimal(38, 4)'
        ) as rest,
        if(
            empty(products), [(product, pieces, amount)],
            arrayConcat(
                arrayMap(listed -> (if(listed.1 != '', listed.1, listed.2), listed.3, listed.4), products),
                if(coalesce(rest, 0) = 0, [], [('', toDecimal128(0, 4), assumeNotNull(rest))])
            )
        ) as shares
    from {{ ref('int_events') }} {{ final() }}
    where
        revenue_kind != ''
        and _version <= {{ high }}
        {% if is_incremental() %}
            and event_date in (select revenue_date from days)
        {% endif %}
),

orders as (
    select order_id, currency, order_date, channel, country, customer_kind
    from {{ ref('orders') }}
    {% if is_incremental() %}
        where (order_date, order_id, currency) in (
            select min(event_date), order_id, currency
            from {{ ref('int_order_lines') }} {{ final() }}
            where revenue_kind = 'sale' and (order_id, currency) in (select order_id, currency from lines)
            group by order_id, currency
        )
    {% endif %}
),

-- A refund counts where its order does.
attributed as (
    select
        lines.*,
        orders.order_date as order_date,
        arrayConcat(
            arrayMap(share -> ('product', share.1, share.2, share.3), lines.shares),
            [
                {% for dimension in ['channel', 'country', 'customer_kind'] %}
                    ('{{ dimension }}', toString(coalesce(orders.{{ dimension }}, '')), lines.pieces, lines.amount)
                    {{- ',' if not loop.last }}
                {% endfor %}
            ]
        ) as parts
    from lines
    left join orders on lines.order_id = orders.order_id and lines.currency = orders.currency
),

totals as (
    select
        revenue_date,
        part.1 as dimension,
        part.2 as dimension_value,
        currency,
        uniqExactIf(order_id, revenue_kind = 'sale' and revenue_date = order_date) as order_count,
        uniqExactIf(visitor_id, revenue_kind = 'sale') as buyer_count,
        sumIf(part.3, revenue_kind = 'sale') as quantity,
        sumIf(part.4, revenue_kind = 'sale') as gross_revenue_amount,
        sumIf(part.4, revenue_kind = 'refund') as refund_amount,
        sum(if(revenue_kind = 'refund', -part.4, part.4)) as net_revenue_amount
    from attributed
    array join parts as part
    group by revenue_date, dimension, dimension_value, currency
)

select
    totals.revenue_date as revenue_date,
    toLowCardinality(totals.dimension) as dimension,
    totals.dimension_value as dimension_value,
    totals.currency as currency,
    totals.order_count as order_count,
    totals.buyer_count as buyer_count,
    totals.quantity as quantity,
    totals.gross_revenue_amount as gross_revenue_amount,
    totals.refund_amount as refund_amount,
    totals.net_revenue_amount as net_revenue_amount,
    {{ in_reporting_currency('totals.gross_revenue_amount', 'totals.currency', 'rates.rate') }} as reporting_gross_revenue_amount,
    {{ in_reporting_currency('totals.refund_amount', 'totals.currency', 'rates.rate') }} as reporting_refund_amount,
    {{ in_reporting_currency('totals.net_revenue_amount', 'totals.currency', 'rates.rate') }} as reporting_net_revenue_amount,
    {{ high }} as refreshed_at
from totals
asof left join {{ ref('currency_rates') }} as rates
    on totals.currency = rates.currency and totals.revenue_date >= rates.valid_from
{% if is_incremental() %}
    union all
    {{ unchanged_days_of_replaced_months('revenue_date', 'days') }}
{% endif %}
