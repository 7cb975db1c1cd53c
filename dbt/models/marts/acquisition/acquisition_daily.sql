{%- set upstreams = ['sessions', 'int_visitor_days', 'attribution_daily'] -%}

{{
    config(
        order_by=['acquisition_date', 'channel', 'traffic_source', 'utm_campaign', 'currency'],
        partition_by='toYYYYMM(acquisition_date)',
        post_hook=[
            "{{ drop_emptied_partitions(
                'acquisition_date',
                changed_days_of({
                    'int_visitor_days': 'activity_date', 'int_sessions': 'session_date', 'int_orders': 'order_date'
                }),
                ['sessions', 'int_visitor_days', 'attribution_daily']
            ) }}",
            "{{ commit_watermark(['sessions', 'int_visitor_days', 'attribution_daily']) }}"
        ]
    )
}}

-- depends_on: {{ ref('int_sessions') }}, {{ ref('int_orders') }}
{%- set origin = 'channel, traffic_source, utm_campaign' %}

with

{% if is_incremental() %}
    days as (
        select changed_date as acquisition_date
        from {{ changed_days_of({
            'int_visitor_days': 'activity_date', 'int_sessions': 'session_date', 'int_orders': 'order_date'
        }) }}
        union distinct
        select order_date from {{ ref('attribution_daily') }} where refreshed_at > {{ low_watermark() }}
    ),

{% endif %}

visits as (
    select session_date, {{ origin }}, visitor_id, session_id, started_at, is_engaged
    from {{ ref('sessions') }}
    {% if is_incremental() %}
        where session_date in (select acquisition_date from days)
    {% endif %}
),

first_days as (
    select activity_date, visitor_id
    from {{ ref('int_visitor_days') }} {{ final() }}
    where
        is_first_day
        {% if is_incremental() %}
            and activity_date in (select acquisition_date from days)
        {% endif %}
),

-- A new visitor counts once, for the first session.
first_visits as (
    select
        session_date,
        visitor_id,
        argMin(({{ origin }}), (started_at, session_id)) as entry
    from visits
    where (session_date, visitor_id) in (select activity_date, visitor_id from first_days)
    group by session_date, visitor_id
),

figures as (
    select
        session_date as acquisition_date,
        {{ origin }},
        '' as currency,
        count() as session_count,
        countIf(is_engaged) as engaged_session_count,
        uniqExact(visitor_id) as visitor_count,
        0 as new_visitor_count,
        toDecimal128(0, 4) as order_count,
        toDecimal128(0, 4) as revenue_amount
    from visits
    group by session_date, {{ origin }}
    union all
    select session_date, entry.1, entry.2, entry.3, '', 0, 0, 0, count(), 0, 0
    from first_visits
    group by session_date, entry
    union all
    select order_date, {{ origin }}, currency, 0, 0, 0, 0, attributed_order_count, attributed_revenue_amount
    from {{ ref('attribution_daily') }}
    where
        attribution_model = 'last_touch'
        {% if is_incremental() %}
            and order_date in (select acquisition_date from days)
        {% endif %}
)

select
    acquisition_date,
    toLowCardinality(channel) as channel,
    toLowCardinality(traffic_source) as traffic_source,
    toLowCardinality(utm_campaign) as utm_campaign,
    toLowCardinality(currency) as currency,
    sum(session_count) as session_count,
    sum(engaged_session_count) as engaged_session_count,
    sum(visitor_count) as visitor_count,
    sum(new_visitor_count) as new_visitor_count,
    toUInt64(sum(order_count)) as order_count,
    sum(revenue_amount) as revenue_amount,
    {{ high_watermark(upstreams) }} as refreshed_at
from figures
group by acquisition_date, {{ origin }}, currency
{% if is_incremental() %}
    union all
    {{ unchanged_days_of_replaced_months('acquisition_date', 'days') }}
{% endif %}
