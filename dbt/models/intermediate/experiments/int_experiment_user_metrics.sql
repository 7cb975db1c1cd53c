{{ config(materialized='view') }}

with

-- What a person has brought in until the end of each day on which that changed.
totals as (
    select
        *,
        sum(main_amount) over until_then as main_total,
        sum(denominator_amount) over until_then as denominator_total,
        sum(covariate_amount) over until_then as covariate_total,
        leadInFrame(activity_date, 1, {{ end_of_time() }}) over (
            partition by experiment_id, metric_id, visitor_id order by activity_date
            rows between current row and 1 following
        ) as next_date
    from {{ ref('int_experiment_user_days') }}
    window until_then as (
        partition by experiment_id, metric_id, visitor_id order by activity_date
        rows between unbounded preceding and current row
    )
),

-- A conversion counts once. Whoever sees a second variant counts no longer from that day on.
person_values as (
    select
        totals.experiment_id as experiment_id,
        totals.metric_id as metric_id,
        totals.visitor_id as visitor_id,
        totals.activity_date as since_date,
        least(totals.next_date, coalesce(persons.second_variant_date, {{ end_of_time() }})) as end_date,
        totals.refreshed_at as refreshed_at,
        -- The last day of which anything is known.
        greatest(since_date, least(experiments.last_event_date, toDate(totals.refreshed_at))) as last_date,
        metrics.cap_type as cap_type,
        metrics.cap_value as declared_cap,
        if(metrics.metric_type = 'conversion', least(totals.main_total, 1), totals.main_total) as main_value,
        if(metrics.metric_type = 'ratio', totals.denominator_total, null) as denominator_value,
        multiIf(
            metrics.covariate_days = 0, null,
            metrics.metric_type = 'conversion', least(totals.covariate_total, 1),
            totals.covariate_total
        ) as covariate_value
    from totals
    inner join {{ ref('int_experiment_metrics') }} as metrics
        on totals.experiment_id = metrics.experiment_id and totals.metric_id = metrics.metric_id
    inner join {{ ref('int_experiments') }} as experiments on totals.experiment_id = experiments.experiment_id
    inner join {{ ref('int_first_exposures') }} as persons
        on totals.experiment_id = persons.experiment_id and totals.visitor_id = persons.visitor_id
    where since_date < end_date
),

-- Under a cap that is found anew for each day, each day stands for itself.
spans as (
    select
        *,
        arrayJoin(if(
            cap_type = 'percentile',
            {{ dates_between('since_date', 'least(end_date - 1, last_date)') }},
            [since_date]
        )) as valid_from,
        if(cap_type = 'percentile', valid_from + 1, end_date) as valid_until
    from person_values
),

-- The least value that this share of those other than 0 does not exceed, over all variants: always one that somebody has.
caps as (
    select
        experiment_id,
        metric_id,
        valid_from as cap_date,
        toNullable(arraySort(groupArray(main_value))[
            toUInt64(greatest(ceil(toDecimal256(any(assumeNotNull(declared_cap)), 9) * count()), 1))
        ]) as found_cap
    from spans
    where cap_type = 'percentile' and main_value != 0
    group by experiment_id, metric_id, valid_from
),

capped as (
    select
        spans.*,
        -- Percentile and no value other than 0: nothing to cap.
        if(spans.cap_type = 'percentile', caps.found_cap, spans.declared_cap) as cap
    from spans
    left join caps
        on
            spans.experiment_id = caps.experiment_id
            and spans.metric_id = caps.metric_id
            and spans.valid_from = caps.cap_date
)

select
    experiment_id,
    metric_id,
    visitor_id,
    valid_from,
    valid_until,
    if(cap is null, main_value, least(main_value, assumeNotNull(cap))) as main_value,
    denominator_value,
    -- least() passes over NULL.
    if(cap is null or covariate_value is null, covariate_value, least(covariate_value, assumeNotNull(cap))) as covariate_value,
    main_value as uncapped_main_value,
    cap as cap_value,
    refreshed_at
from capped
