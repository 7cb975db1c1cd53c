{{
    config(
        tags=['hourly'],
        incremental_strategy='insert_overwrite',
        order_by=['activity_date', 'granularity', 'cohort_date'],
        partition_by='toYYYYMM(activity_date)',
        post_hook=[
            "{{ drop_emptied_partitions(
                'activity_date', changed_days('int_cohort_days', 'activity_date'), ['int_cohort_days']
            ) }}",
            "{{ commit_watermark(['int_cohort_days']) }}"
        ]
    )
}}

with

{% if is_incremental() %}
    days as (
        select activity_date from {{ changed_days('int_cohort_days', 'activity_date') }}
    ),

{% endif %}

visits as (
    select
        activity_date,
        granularity,
        cohort_date,
        period_number,
        periods_since_previous
    from {{ ref('int_cohort_days') }} {{ final() }}
    array join
        {{ granularities() }} as granularity,
        {{ period_starts('first_date') }} as cohort_date,
        {{ periods_between('first_date', 'activity_date') }} as period_number,
        {{ periods_between('previous_date', 'activity_date') }} as periods_since_previous
    where
        -- Of several visits in a period the first one counts.
        (periods_since_previous > 0 or activity_date = first_date)
        {% if is_incremental() %}
            and activity_date in (select activity_date from days)
        {% endif %}
)

select
    activity_date,
    toLowCardinality(granularity) as granularity,
    cohort_date,
    toUInt16(period_number) as period_number,
    count() as visitor_count,
    countIf(periods_since_previous = 1) as returning_visitor_count,
    {{ high_watermark(['int_cohort_days']) }} as refreshed_at
from visits
group by activity_date, granularity, cohort_date, period_number
{% if is_incremental() %}
    union all
    {{ unchanged_days_of_replaced_months('activity_date', 'days') }}
{% endif %}
