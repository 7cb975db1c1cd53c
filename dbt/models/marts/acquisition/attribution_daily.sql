{%- set upstreams = ['orders', 'sessions'] -%}
{%- set window_days = var('attribution_window_days') -%}

{{
    config(
        order_by=['order_date', 'attribution_model', 'channel', 'traffic_source', 'utm_campaign', 'currency'],
        partition_by='toYYYYMM(order_date)',
        indexes=[minmax_index('refreshed_at')],
        post_hook=[
            "{{ drop_emptied_partitions(
                'order_date', changed_days('int_orders', 'order_date'), ['orders', 'sessions']
            ) }}",
            "{{ commit_watermark(['orders', 'sessions']) }}"
        ]
    )
}}

-- depends_on: {{ ref('int_orders') }}, {{ ref('int_sessions') }}

with

{% if is_incremental() %}
    -- A session may have led to the orders of its visitor in the days after it.
    days as (
        select order_date from {{ changed_days('int_orders', 'order_date') }}
        union distinct
        select order_date
        from {{ ref('orders') }}
        where (order_date, visitor_id) in (
            select arrayJoin({{ dates_between('session_date', 'session_date + ' ~ window_days) }}), visitor_id
            from {{ ref('int_sessions') }}
            where _version > {{ low_watermark() }}
        )
    ),

{% endif %}

orders as (
    select *
    from {{ ref('orders') }}
    {% if is_incremental() %}
        where order_date in (select order_date from days)
    {% endif %}
),

visits as (
    select
        visitor_id,
        arraySort(groupArray(
            (started_at, session_id, toString(channel), toString(traffic_source), toString(utm_campaign))
        )) as sessions
    from {{ ref('sessions') }}
    where
        visitor_id in (select visitor_id from orders)
        {% if is_incremental() %}
            and (session_date, visitor_id) in (
                select arrayJoin({{ dates_between('order_date - ' ~ window_days, 'order_date') }}), visitor_id
                from orders
            )
        {% endif %}
    group by visitor_id
),

journeys as (
    select
        orders.order_date as order_date,
        orders.currency as currency,
        orders.gross_revenue_amount as revenue_amount,
        arrayFilter(
            touch -> touch.1 between orders.ordered_at - toIntervalDay({{ window_days }}) and orders.ordered_at,
            visits.sessions
        ) as found,
        if(empty(found), [(orders.ordered_at, '', 'Unattributed', '', '')], found) as touches,
        toInt64(length(touches)) as touch_count,
        toInt64(arrayLastIndex(touch -> touch.3 != 'Direct', touches)) as last_indirect,
        if(last_indirect = 0, touch_count, last_indirect) as last_position
    from orders
    left join visits on orders.visitor_id = visits.visitor_id
),

-- Of one order and of its amount. Divisions are cut off after the fourth decimal; the last touch gets what remains.
credits as (
    select
        order_date,
        arrayJoin(['first_touch', 'last_touch', 'linear', 'position_based']) as attribution_model,
        touch.3 as channel,
        touch.4 as traffic_source,
        touch.5 as utm_campaign,
        currency,
        arrayMap(
            whole -> multiIf(
                attribution_model = 'first_touch', if(position = 1, whole, 0),
                attribution_model = 'last_touch', if(position = last_position, whole, 0),
                attribution_model = 'linear' or touch_count <= 2,
                if(position < touch_count, whole / touch_count, whole - whole / touch_count * (touch_count - 1)),
                position = 1, whole * 2 / 5,
                position < touch_count, whole / 5 / (touch_count - 2),
                whole - whole * 2 / 5 - whole / 5 / greatest(touch_count - 2, 1) * (touch_count - 2)
            ),
            [toDecimal256(1, 4), toDecimal256(revenue_amount, 4)]
        ) as credit
    from journeys
    array join touches as touch, arrayEnumerate(touches) as position
)

select
    order_date,
    toLowCardinality(attribution_model) as attribution_model,
    toLowCardinality(channel) as channel,
    toLowCardinality(traffic_source) as traffic_source,
    toLowCardinality(utm_campaign) as utm_campaign,
    currency,
    toDecimal128(sum(credit[1]), 4) as attributed_order_count,
    toDecimal128(sum(credit[2]), 4) as attributed_revenue_amount,
    {{ high_watermark(upstreams) }} as refreshed_at
from credits
where credit[1] != 0 or credit[2] != 0
group by order_date, attribution_model, channel, traffic_source, utm_campaign, currency
{% if is_incremental() %}
    union all
    {{ unchanged_days_of_replaced_months('order_date', 'days') }}
{% endif %}
