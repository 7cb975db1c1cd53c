{%- set upstreams = ['int_events', 'int_orders', 'sessions'] -%}

{{
    config(
        order_by=['order_date', 'order_id', 'currency'],
        partition_by='toYYYYMM(order_date)',
        indexes=[minmax_index('refreshed_at')],
        post_hook=[
            "{{ drop_emptied_partitions(
                'order_date', changed_days('int_orders', 'order_date'), ['int_events', 'int_orders', 'sessions']
            ) }}",
            "{{ commit_watermark(['int_events', 'int_orders', 'sessions']) }}"
        ]
    )
}}

-- depends_on: {{ ref('int_sessions') }}, {{ ref('int_events') }}

with

{% if is_incremental() %}
    changed_sessions as (
        select visitor_id, arrayJoin({{ dates_between('session_date', 'end_date') }}) as event_date
        from {{ ref('int_sessions') }}
        where _version > {{ low_watermark() }}
    ),

    days as (
        select order_date from {{ changed_days('int_orders', 'order_date') }}
        union distinct
        select order_date
        from {{ ref('int_orders') }}
        where (visitor_id, order_date) in (select visitor_id, event_date from changed_sessions)
    ),

{% endif %}

orders as (
    select *
    from {{ ref('int_orders') }} {{ final() }}
    {% if is_incremental() %}
        where
            order_date in (select order_date from days)
            -- Sorted by visitor: those who bought something on these days are looked up.
            and visitor_id in (
                select visitor_id
                from {{ ref('int_events') }}
                where event_date in (select order_date from days) and revenue_kind = 'sale'
            )
    {% endif %}
),

visits as (
    select visitor_id, client_session_id, started_at, session_id, channel
    from {{ ref('sessions') }}
    {% if is_incremental() %}
        where
            visitor_id in (select visitor_id from orders)
            -- Most sessions last no longer than into the next day; the others are few.
            and session_date in (
                select arrayJoin([order_date - 1, order_date]) from days
                union distinct
                select session_date
                from {{ ref('int_sessions') }}
                where
                    length_days > 1
                    and end_date >= (select min(order_date) from days)
                    and visitor_id in (select visitor_id from orders)
            )
    {% endif %}
)

select
    orders.order_id as order_id,
    orders.currency as currency,
    orders.visitor_id as visitor_id,
    orders.order_date as order_date,
    orders.ordered_at as ordered_at,
    orders.order_number as order_number,
    orders.first_order_date as first_order_date,
    toLowCardinality(if(orders.order_number = 1, 'new', 'returning')) as customer_kind,
    coalesce(visits.session_id, '') as session_id,
    toLowCardinality(coalesce(visits.channel, '')) as channel,
    orders.country as country,
    orders.gross_revenue_amount as gross_revenue_amount,
    orders.refund_amount as refund_amount,
    orders.net_revenue_amount as net_revenue_amount,
    {{ high_watermark(upstreams) }} as refreshed_at
from orders
-- The last session that began before the order is the one that it lies in.
asof left join visits
    on
        orders.visitor_id = visits.visitor_id
        and orders.client_session_id = visits.client_session_id
        and orders.ordered_at >= visits.started_at
{% if is_incremental() %}
    union all
    {{ unchanged_days_of_replaced_months('order_date', 'days') }}
{% endif %}
