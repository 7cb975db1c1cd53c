{{
    config(
        materialized='table',
        order_by='week_date',
        post_hook="{{ commit_watermark(['int_cohort_visits']) }}"
    )
}}

with

counted as (
    select
        toMonday(activity_date) as week_date,
        sum(visitor_count) as active_users,
        sumIf(visitor_count, period_number = 0) as new_users,
        sum(returning_visitor_count) as returning_users
    from {{ ref('int_cohort_visits') }}
    where granularity = 'week'
    group by week_date
),

bounds as (
    select min(week_date) as first_week, max(week_date) as last_week
    from counted
    having count() > 0
),

calendar as (
    select arrayJoin({{ dates_between('first_week', 'last_week') }}) as week_date
    from bounds
    where toDayOfWeek(week_date) = 1
),

weeks as (
    select
        calendar.week_date as week_date,
        coalesce(counted.active_users, 0) as active_users,
        coalesce(counted.new_users, 0) as new_users,
        coalesce(counted.returning_users, 0) as returning_users
    from calendar
    left join counted on calendar.week_date = counted.week_date
)

select
    week_date,
    new_users,
    returning_users,
    toUInt64(active_users - new_users - returning_users) as resurrecting_users,
    toUInt64(lagInFrame(active_users, 1, 0) over in_order - returning_users) as dormant_users,
    (new_users + resurrecting_users) / nullIf(dormant_users, 0) as quick_ratio,
    {{ high_watermark(['int_cohort_visits']) }} as refreshed_at
from weeks
window in_order as (order by week_date rows between unbounded preceding and current row)
