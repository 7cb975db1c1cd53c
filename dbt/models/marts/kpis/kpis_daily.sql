{%- set upstreams = ['sessions', 'events_daily', 'active_users_daily', 'revenue_daily', 'funnels'] -%}

{{
    config(
        order_by=['kpi_date', 'metric', 'currency'],
        partition_by='toYYYYMM(kpi_date)',
        post_hook="{{ commit_watermark(
            ['sessions', 'events_daily', 'active_users_daily', 'revenue_daily', 'funnels']
        ) }}"
    )
}}

-- depends_on: {{ ref('int_visitor_days') }}, {{ ref('int_sessions') }}
-- depends_on: {{ ref('int_orders') }}, {{ ref('int_funnel_visitors') }}

with

days as (
    select activity_date as kpi_date
    from {{ ref('active_users_daily') }}
    {% if is_incremental() %}
        where
            activity_date in {{ changed_days('int_visitor_days', 'activity_date') }}
            or activity_date in {{ changed_days('int_sessions', 'session_date') }}
            or activity_date in {{ changed_days('int_orders', 'order_date') }}
            or activity_date in {{ changed_days('int_funnel_visitors', 'entry_date') }}
            or activity_date not in (select kpi_date from {{ this }})
    {% endif %}
),

actives as (
    select activity_date as kpi_date, daily_active_users, new_users
    from {{ ref('active_users_daily') }}
    where kpi_date in (select kpi_date from days)
),

events as (
    select event_date as kpi_date, sum(event_count) as events
    from {{ ref('events_daily') }}
    where kpi_date in (select kpi_date from days)
    group by kpi_date
),

sessions as (
    select
        session_date as kpi_date,
        count() as sessions,
        countIf(is_bounce) as bounces,
        countIf(order_count > 0) as sessions_with_order,
        sum(dateDiff('millisecond', started_at, ended_at)) as duration_ms
    from {{ ref('sessions') }}
    where kpi_date in (select kpi_date from days)
    group by kpi_date
),

revenue as (
    select
        revenue_date as kpi_date,
        currency,
        gross_revenue_amount as gross,
        refund_amount as refunds,
        net_revenue_amount as net,
        toDecimal128(order_count, 4) as orders
    from {{ ref('revenue_daily') }}
    where kpi_date in (select kpi_date from days)
),

orders as (
    select kpi_date, sum(orders) as orders
    from revenue
    group by kpi_date
),

by_day as (
    select
        actives.kpi_date as kpi_date,
        toDecimal128(actives.daily_active_users, 4) as daily_active_users,
        toDecimal128(actives.new_users, 4) as new_users,
        toDecimal128(coalesce(events.events, 0), 4) as events,
        toDecimal128(coalesce(sessions.sessions, 0), 4) as sessions,
        toDecimal128(coalesce(sessions.bounces, 0), 4) as bounces,
        toDecimal128(coalesce(sessions.sessions_with_order, 0), 4) as sessions_with_order,
        toDecimal128(coalesce(sessions.duration_ms, 0), 4) / 1000 as duration_seconds,
        coalesce(orders.orders, 0) as orders
    from actives
    left join events on actives.kpi_date = events.kpi_date
    left join sessions on actives.kpi_date = sessions.kpi_date
    left join orders on actives.kpi_date = orders.kpi_date
),

-- A metric is its numerator, or numerator / denominator where there is one.
figures as (
    select kpi_date, metric, currency, numerator, denominator
    from revenue
    array join
        ['gross_revenue', 'refunds', 'net_revenue', 'average_order_value'] as metric,
        [gross, refunds, net, gross] as numerator,
        [null, null, null, orders] as denominator
    union all
    select kpi_date, metric, '' as currency, numerator, denominator
    from by_day
    array join
        ['orders', 'daily_active_users', 'new_users', 'sessions', 'events'] as metric,
        [orders, daily_active_users, new_users, sessions, events] as numerator,
        [null, null, null, null, if(sessions < 0, sessions, null)] as denominator
    union all
    select kpi_date, metric, '' as currency, numerator, denominator
    from by_day
    array join
        ['bounce_rate', 'average_session_duration', 'purchase_conversion_rate'] as metric,
        [bounces, duration_seconds, sessions_with_order] as numerator,
        [toNullable(sessions), sessions, sessions] as denominator
    union all
    select
        entry_date as kpi_date,
        concat(funnel_name, '_conversion_rate') as metric,
        '' as currency,
        toDecimal128(argMax(visitor_count, step_number), 4) as numerator,
        toNullable(toDecimal128(argMin(visitor_count, step_number), 4)) as denominator
    from {{ ref('funnels') }}
    where kpi_date in (select kpi_date from days)
    group by kpi_date, funnel_name
)

select
    figures.kpi_date as kpi_date,
    toLowCardinality(figures.metric) as metric,
    toLowCardinality(figures.currency) as currency,
    toLowCardinality(coalesce(metric_catalog.category, 'conversion')) as category,
    toLowCardinality(coalesce(metric_catalog.unit, 'rate')) as unit,
    if(
        figures.denominator is null,
        toFloat64(figures.numerator),
        toFloat64(figures.numerator) / toFloat64(nullIf(figures.denominator, 0))
    ) as value,
    toNullable(figures.numerator) as numerator,
    figures.denominator as denominator,
    {{ high_watermark(upstreams) }} as refreshed_at
from figures
left join {{ ref('metric_catalog') }} as metric_catalog on figures.metric = metric_catalog.metric
{% if is_incremental() %}
    union all
    {{ unchanged_days_of_replaced_months('kpi_date', 'days') }}
{% endif %}
