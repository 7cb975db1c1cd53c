{{ config(materialized='table', order_by=['experiment_id', 'metric_id']) }}

with

experiments as (select * from {{ ref('int_experiments') }}),

-- A name of a tuple's element is the name of the member it is read from.
metrics as (
    select
        experiment_id,
        JSONExtract(
            arrayJoin(metrics),
            'Tuple(id String, name String, type String, aggregation String, isPrimary Bool, role String, eventName String,
            property String, windowHours Nullable(Float64), cap Tuple(type String, value String), direction String,
            nonInferiorityMargin Nullable(Float64), denominator Tuple(eventName String, property String),
            covariateDays Nullable(Float64))'
        ) as said,
        said.type = 'duration' and said.property = '' as is_plain_duration
    from experiments
)

select
    experiment_id,
    said.id as metric_id,
    if(said.name = '', said.id, said.name) as metric_name,
    toLowCardinality(said.type) as metric_type,
    toLowCardinality(said.aggregation) as aggregation,
    toLowCardinality(multiIf(said.isPrimary, 'goal', said.role = '', 'secondary', said.role)) as metric_role,
    said.isPrimary as is_primary,
    if(said.eventName = '', said.id, said.eventName) as event_name,
    multiIf(said.type = 'conversion', '', is_plain_duration, 'duration', said.property) as property,
    toBool(said.type = 'revenue' and said.property = '') as is_staged_revenue,
    said.denominator.eventName as denominator_event_name,
    said.denominator.property as denominator_property,
    said.windowHours as window_hours,
    toLowCardinality(said.cap.type) as cap_type,
    {{ decimal_amount('said.cap.value', 9) }} as cap_value,
    toBool(said.direction != 'decrease') as is_increase_good,
    said.nonInferiorityMargin as non_inferiority_margin,
    -- What a ratio was before is no mean of one number.
    if(said.type = 'ratio', 0, coalesce(said.covariateDays, 14)) as covariate_days
from metrics
