{%- set upstreams = ['sessions_daily', 'events_daily', 'active_users_daily', 'revenue_daily', 'funnels'] -%}
{%- set windowed = ['weekly_active_users', 'monthly_active_users', 'stickiness'] -%}
{%- set former_values = {'value_week_before': 7, 'value_4_weeks_before': 28, 'value_52_weeks_before': 364} %}

{{
    config(
        order_by=['kpi_date', 'metric', 'currency', 'dimension', 'dimension_value'],
        partition_by='toYYYYMM(kpi_date)',
        post_hook="{{ commit_watermark(['sessions_daily', 'events_daily', 'active_users_daily', 'revenue_daily', 'funnels']) }}"
    )
}}

-- depends_on: {{ ref('int_visitor_days') }}, {{ ref('int_sessions') }}, {{ ref('int_funnel_visitors') }}

with calendar as (select *, activity_date as kpi_date from {{ ref('active_users_daily') }}),

-- As one value, which is computed once, however often it is asked for.
changed as (
    select arrayJoin((
        select groupUniqArray(kpi_date) from calendar
        {% if is_incremental() %}
            where
                kpi_date in {{ changed_days('int_visitor_days', 'activity_date') }}
                or kpi_date in {{ changed_days('int_sessions', 'session_date') }}
                or kpi_date in {{ changed_days('int_funnel_visitors', 'entry_date') }}
                or kpi_date in (select revenue_date from {{ ref('revenue_daily') }} where refreshed_at > {{ low_watermark() }})
                or kpi_date not in (select kpi_date from {{ this }})
        {% endif %}
    )) as kpi_date
),

-- A day of activity counts in the windows of the 29 days after it as well.
touched as (select distinct arrayJoin({{ dates_between('kpi_date', 'kpi_date + 29') }}) as kpi_date from changed),

-- What the metrics of a day are the sums of: metric, currency, numerator and, for a quotient, denominator.
parts as (
    select kpi_date, '' as dimension, '' as dimension_value, arrayJoin([
        ('daily_active_users', '', daily_active_users, null),
        ('new_users', '', new_users, null),
        -- A day without any has these figures, too.
        ('events', '', 0, null),
        ('orders', '', 0, null),
        ('sessions', '', 0, null),
        ('conversions', '', 0, null),
        ('bounce_rate', '', 0, 0),
        ('engagement_rate', '', 0, 0),
        ('pages_per_session', '', 0, 0),
        ('average_session_duration', '', 0, 0),
        ('purchase_conversion_rate', '', 0, 0)
    ]) as part
    from calendar
    where kpi_date in (select kpi_date from changed)
    union all
    select kpi_date, '', '', arrayJoin([
        ('weekly_active_users', '', weekly_active_users, null),
        ('monthly_active_users', '', monthly_active_users, null),
        ('stickiness', '', daily_active_users, monthly_active_users)
    ])
    from calendar
    where kpi_date in (select kpi_date from touched)
    union all
    select event_date, '', '', ('events', '', event_count, null)
    from {{ ref('events_daily') }}
    where event_date in (select kpi_date from changed)
    union all
    select session_date, slice.1, slice.2, arrayJoin([
        ('sessions', '', session_count, null),
        ('conversions', '', conversion_count, null),
        ('bounce_rate', '', bounce_count, session_count),
        ('engagement_rate', '', engaged_session_count, session_count),
        ('pages_per_session', '', page_view_count, session_count),
        ('average_session_duration', '', duration_seconds, session_count),
        ('purchase_conversion_rate', '', session_with_order_count, session_count)
    ])
    from {{ ref('sessions_daily') }}
    array join [('', ''), ('channel', channel), ('country', country), ('device_type', device_type)] as slice
    where session_date in (select kpi_date from changed)
    union all
    select revenue_date, '', '', arrayJoin([
        ('orders', '', order_count, null),
        ('gross_revenue', currency, gross_revenue_amount, null),
        ('refunds', currency, refund_amount, null),
        ('net_revenue', currency, net_revenue_amount, null),
        ('average_order_value', currency, gross_revenue_amount, order_count)
    ])
    from {{ ref('revenue_daily') }}
    where revenue_date in (select kpi_date from changed)
    union all
    select entry_date, '', '',
        (funnel_name || '_conversion_rate', '', argMax(visitor_count, step_number), argMin(visitor_count, step_number))
    from {{ ref('funnels') }}
    where entry_date in (select kpi_date from changed)
    group by entry_date, funnel_name
),

sums as (
    select
        kpi_date,
        toLowCardinality(part.1) as metric,
        toLowCardinality(part.2) as currency,
        toLowCardinality(dimension) as dimension,
        dimension_value,
        toNullable(sum(toDecimal128(part.3, 4))) as numerator,
        sum(toDecimal128(part.4, 4)) as denominator
    from parts
    group by kpi_date, metric, currency, dimension, dimension_value
),

-- A figure stands beside those of the same weekday before it: a day that changes also changes the days that look back at it.
due as (
    select kpi_date
    from calendar
    where kpi_date in (select kpi_date + arrayJoin([0, {{ former_values.values() | join(', ') }}]) from touched)
),

figures as (
    select
        kpi_date, sums.metric as metric, currency, dimension, dimension_value,
        toLowCardinality(coalesce(metric_catalog.category, 'conversion')) as category,
        toLowCardinality(coalesce(metric_catalog.unit, 'rate')) as unit,
        if(denominator is null, toFloat64(numerator), toFloat64(numerator) / toFloat64(nullIf(denominator, 0))) as value,
        numerator, denominator
    from sums
    left join {{ ref('metric_catalog') }} as metric_catalog on sums.metric = metric_catalog.metric
    {% if is_incremental() %}
        union all
        select * except ({{ former_values | join(', ') }}, refreshed_at) from {{ this }}
        where
            kpi_date in (select kpi_date - arrayJoin([0, {{ former_values.values() | join(', ') }}]) from due)
            and kpi_date not in (select kpi_date from changed)
            and not (metric in ({{ quoted(windowed) }}) and kpi_date in (select kpi_date from touched))
    {% endif %}
),

compared as (
    select
        *,
        {% for name, days in former_values.items() %}
            any(value) over (same_figure range between {{ days }} preceding and {{ days }} preceding) as {{ name }},
        {% endfor %}
        {{ high_watermark(upstreams) }} as refreshed_at
    from figures
    window same_figure as (partition by metric, currency, dimension, dimension_value order by kpi_date)
)

select * from compared where kpi_date in (select kpi_date from due)
{% if is_incremental() %}
    union all
    {{ unchanged_days_of_replaced_months('kpi_date', 'due') }}
{% endif %}
