{{ config(materialized='table', order_by=['experiment_id']) }}

with

experiments as (select * from {{ ref('stg_experiments') }} where started_at is not null),

reaching_back as (
    select
        *,
        arrayMax(
            arrayMap(metric -> coalesce(JSONExtract(metric, 'covariateDays', 'Nullable(Float64)'), 14), metrics)
        ) as longest_covariate_days
    from experiments
)

select
    experiment_id,
    definition_version,
    experiment_name,
    status,
    assumeNotNull(started_at) as started_at,
    ended_at,
    toDate(assumeNotNull(started_at) - toIntervalSecond(toUInt64(ceil(86400 * longest_covariate_days)))) as first_event_date,
    if(ended_at is null, {{ end_of_time() }}, toDate(assumeNotNull(ended_at))) as last_event_date,
    flag_key,
    segments,
    confidence_level,
    correction_method,
    prior_mean,
    prior_std_dev,
    planned_users,
    guardrail_policy,
    variant_ids,
    phase_starts,
    variants,
    metrics,
    phases
from reaching_back
