{{
    config(
        order_by='activity_date',
        partition_by='toYYYYMM(activity_date)',
        post_hook="{{ commit_watermark(['int_visitor_days']) }}"
    )
}}

with

bounds as (
    select
        min(activity_date) as first_date,
        max(activity_date) as last_date
    from {{ ref('int_visitor_days') }}
    having count() > 0
),

calendar as (
    select arrayJoin({{ dates_between('first_date', 'last_date') }}) as activity_date
    from bounds
),

-- A day of activity counts in the windows of the 29 days after it; the calendar may also have grown.
days as (
    select activity_date
    from calendar
    {% if is_incremental() %}
        where
            activity_date in (
                select arrayJoin({{ dates_between('activity_date', 'activity_date + 29') }})
                from {{ changed_days('int_visitor_days', 'activity_date') }}
            )
            or activity_date not in (select activity_date from {{ this }})
    {% endif %}
),

visitor_days as (
    select *
    from {{ ref('int_visitor_days') }} {{ final() }}
    {% if is_incremental() %}
        where activity_date in (select arrayJoin({{ dates_between('activity_date - 29', 'activity_date') }}) from days)
    {% endif %}
),

dates_of_visitors as (select arraySort(groupArray(activity_date)) as dates from visitor_days group by visitor_id),

visits as (
    select
        visit.1 as visit_date,
        visit.2 as next_visit_date,
        toInt64(count()) as visitors
    from dates_of_visitors
    array join arrayZip(dates, arrayPushBack(arrayPopFront(dates), toDate('2149-06-06'))) as visit
    group by visit_date, next_visit_date
),

-- A visitor enters a rolling window on the day of a visit and leaves it when the window ends or with the next visit, which
-- counts them again: the sum of these changes up to a day is the number of distinct visitors in its window.
changes as (
    select arrayJoin([
        (visit_date, visitors, 0, visitors, visitors),
        (least(visit_date + 7, next_visit_date), 0, 0, -visitors, 0),
        (least(visit_date + 30, next_visit_date), 0, 0, 0, -visitors)
    ]) as change
    from visits
    union all
    select (activity_date, 0, count(), 0, 0)
    from visitor_days
    where is_first_day
    group by activity_date
    union all
    select (activity_date, 0, 0, 0, 0)
    from days
),

changes_by_day as (
    select
        change.1 as activity_date,
        toUInt64(sum(change.2)) as daily_active_users,
        toUInt64(sum(change.3)) as new_users,
        sum(change.4) as weekly_change,
        sum(change.5) as monthly_change
    from changes
    group by activity_date
),

accumulated as (
    select
        *,
        sum(weekly_change) over (order by activity_date rows between unbounded preceding and current row) as weekly_visitors,
        sum(monthly_change) over (order by activity_date rows between unbounded preceding and current row) as monthly_visitors
    from changes_by_day
)

select
    activity_date,
    daily_active_users,
    toUInt64(weekly_visitors) as weekly_active_users,
    toUInt64(monthly_visitors) as monthly_active_users,
    new_users,
    if(monthly_visitors > 0, daily_active_users / monthly_visitors, null) as stickiness_rate,
    {{ high_watermark(['int_visitor_days']) }} as refreshed_at
from accumulated
where activity_date in (select activity_date from days)
{% if is_incremental() %}
    union all
    {{ unchanged_days_of_replaced_months('activity_date', 'days') }}
{% endif %}
