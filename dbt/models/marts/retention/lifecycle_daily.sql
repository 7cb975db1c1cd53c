{{
    config(
        materialized='table',
        order_by='activity_date',
        post_hook="{{ commit_watermark(['int_cohort_visits']) }}"
    )
}}

with

counted as (
    select
        activity_date,
        sum(visitor_count) as active_users,
        sumIf(visitor_count, period_number = 0) as new_users,
        sum(returning_visitor_count) as returning_users
    from {{ ref('int_cohort_visits') }}
    where granularity = 'day'
    group by activity_date
),

bounds as (
    select min(activity_date) as first_date, max(activity_date) as last_date
    from counted
    having count() > 0
),

calendar as (
    select arrayJoin({{ dates_between('first_date', 'last_date') }}) as activity_date
    from bounds
),

days as (
    select
        calendar.activity_date as activity_date,
        coalesce(counted.active_users, 0) as active_users,
        coalesce(counted.new_users, 0) as new_users,
        coalesce(counted.returning_users, 0) as returning_users
    from calendar
    left join counted on calendar.activity_date = counted.activity_date
)

select
    activity_date,
    new_users,
    returning_users,
    toUInt64(active_users - new_users - returning_users) as resurrecting_users,
    toUInt64(lagInFrame(active_users, 1, 0) over in_order - returning_users) as dormant_users,
    (new_users + resurrecting_users) / nullIf(dormant_users, 0) as quick_ratio,
    {{ high_watermark(['int_cohort_visits']) }} as refreshed_at
from days
window in_order as (order by activity_date rows between unbounded preceding and current row)
