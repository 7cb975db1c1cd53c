{{
    config(
        materialized='table',
        order_by=['granularity', 'cohort_date', 'period_number'],
        post_hook="{{ commit_watermark(['int_cohort_visits']) }}"
    )
}}

with

visits as (
    select
        granularity,
        cohort_date,
        period_number,
        sum(visitor_count) as visitor_count
    from {{ ref('int_cohort_visits') }}
    group by granularity, cohort_date, period_number
),

cohorts as (
    select
        granularity,
        cohort_date,
        sumIf(visitor_count, period_number = 0) as cohort_size,
        assumeNotNull((select max(activity_date) from {{ ref('int_cohort_visits') }})) as last_date,
        indexOf({{ granularities() }}, granularity) as unit
    from visits
    group by granularity, cohort_date
),

-- Periods in which nobody came back have a row as well: a rate over several cohorts divides by all of them.
periods as (
    select
        *,
        arrayJoin(range(
            toUInt32(least({{ longest_periods() }}[unit], {{ periods_between('cohort_date', 'last_date') }}[unit])) + 1
        )) as period_number,
        [cohort_date + period_number, addWeeks(cohort_date, period_number), addMonths(cohort_date, period_number)][unit]
            as period_date,
        [period_date + 1, addWeeks(period_date, 1), addMonths(period_date, 1)][unit] as next_period_date
    from cohorts
)

select
    periods.granularity as granularity,
    periods.cohort_date as cohort_date,
    toUInt16(periods.period_number) as period_number,
    periods.period_date as period_date,
    toBool(periods.next_period_date <= periods.last_date) as is_complete,
    periods.cohort_size as cohort_size,
    coalesce(visits.visitor_count, 0) as retained_visitor_count,
    retained_visitor_count / cohort_size as retention_rate,
    {{ high_watermark(['int_cohort_visits']) }} as refreshed_at
from periods
left join visits
    on
        periods.granularity = visits.granularity
        and periods.cohort_date = visits.cohort_date
        and periods.period_number = visits.period_number
