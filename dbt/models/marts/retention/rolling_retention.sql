{{
    config(
        materialized='table',
        tags=['nightly'],
        order_by=['granularity', 'cohort_date', 'period_number'],
        post_hook="{{ commit_watermark(['int_cohort_days', 'retention']) }}"
    )
}}

with

visitors as (
    select
        visitor_id,
        min(activity_date) as first_date,
        max(activity_date) as last_date
    from {{ ref('int_cohort_days') }} {{ final() }}
    group by visitor_id
),

-- Who was there last after the cohort is followed no more has stayed through all of it.
last_visits as (
    select
        granularity,
        cohort_date,
        least(last_period_number, longest_period) as period_number,
        count() as visitor_count
    from visitors
    array join
        {{ granularities() }} as granularity,
        {{ period_starts('first_date') }} as cohort_date,
        {{ periods_between('first_date', 'last_date') }} as last_period_number,
        {{ longest_periods() }} as longest_period
    group by granularity, cohort_date, period_number
),

stayed as (
    select
        retention.granularity as granularity,
        retention.cohort_date as cohort_date,
        retention.period_number as period_number,
        retention.period_date as period_date,
        retention.is_complete as is_complete,
        retention.cohort_size as cohort_size,
        sum(coalesce(last_visits.visitor_count, 0)) over (
            partition by retention.granularity, retention.cohort_date order by retention.period_number desc
            rows between unbounded preceding and current row
        ) as retained_visitor_count
    from {{ ref('retention') }} as retention
    left join last_visits
        on
            retention.granularity = last_visits.granularity
            and retention.cohort_date = last_visits.cohort_date
            and retention.period_number = last_visits.period_number
)

select
    *,
    retained_visitor_count / cohort_size as retention_rate,
    {{ high_watermark(['int_cohort_days', 'retention']) }} as refreshed_at
from stayed
