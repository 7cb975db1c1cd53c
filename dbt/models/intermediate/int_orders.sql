{%- set key = 'visitor_id, ordered_at, order_id, currency' -%}
{%- set facts -%}
    order_date, client_session_id, country, order_number, first_order_date, gross_revenue_amount, refund_amount,
    net_revenue_amount
{%- endset -%}

{{
    config(
        unique_key=['visitor_id', 'ordered_at', 'order_id', 'currency'],
        engine='ReplacingMergeTree(_version, _is_deleted)',
        order_by=['visitor_id', 'ordered_at', 'order_id', 'currency'],
        indexes=[minmax_index('_version')],
        settings={'index_granularity': 512},
        post_hook="{{ commit_watermark(['int_order_lines']) }}"
    )
}}

{%- set high = high_watermark(['int_order_lines']) %}

with

{% if is_incremental() %}
    changed as (
        select distinct order_id, currency
        from {{ ref('int_order_lines') }}
        where _version > {{ low_watermark() }} and _version <= {{ high }}
    ),

    -- Whoever has or had a line of them: all orders of these customers are numbered anew.
    touched as (
        select distinct visitor_id
        from {{ ref('int_order_lines') }}
        where (order_id, currency) in (select order_id, currency from changed)
    ),

    stored as (
        select {{ key }}, {{ facts }}
        from {{ this }} {{ final() }}
        where visitor_id in (select visitor_id from touched)
    ),

{% endif %}

orders as (
    select
        order_id,
        currency,
        argMinIf(
            (visitor_id, occurred_at, client_session_id, country), {{ event_order() }}, revenue_kind = 'sale'
        ) as first_line,
        sumIf(amount, revenue_kind = 'sale') as gross_revenue_amount,
        sumIf(amount, revenue_kind = 'refund') as refund_amount,
        sum(if(revenue_kind = 'refund', -amount, amount)) as net_revenue_amount
    from {{ ref('int_order_lines') }} {{ final() }}
    where
        _version <= {{ high }}
        {% if is_incremental() %}
            and (order_id, currency) in (
                select order_id, currency from changed
                union distinct
                select order_id, currency from stored
            )
        {% endif %}
    group by order_id, currency
    having countIf(revenue_kind = 'sale') > 0
),

dated as (
    select
        first_line.1 as visitor_id,
        first_line.2 as ordered_at,
        toDate(ordered_at) as order_date,
        first_line.3 as client_session_id,
        toLowCardinality(first_line.4) as country,
        order_id,
        currency,
        gross_revenue_amount,
        refund_amount,
        net_revenue_amount
    from orders
),

fresh as (
    select
        *,
        toUInt32(row_number() over (partition by visitor_id order by ordered_at, order_id, currency)) as order_number,
        min(order_date) over (partition by visitor_id) as first_order_date
    from dated
)

select {{ key }}, {{ facts }}, {{ high }} as _version, toUInt8(0) as _is_deleted
from fresh
{% if is_incremental() %}
    where ({{ key }}, {{ facts }}) not in (select {{ key }}, {{ facts }} from stored)
    union all
    -- Orders that began earlier or later than was known, are another customer's, or were erased.
    select {{ key }}, {{ facts }}, {{ high }}, toUInt8(1)
    from stored
    where ({{ key }}) not in (select {{ key }} from fresh)
{% endif %}
