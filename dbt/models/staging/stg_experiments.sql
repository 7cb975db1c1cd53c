{{ config(materialized='view') }}

with

-- Each change holds the whole definition; the last one of an experiment counts. A change may be stored more than once.
latest as (
    select
        key as experiment_id,
        max(version) as definition_version,
        argMax(after, version) as definition,
        argMax(changed_at, version) as changed_at
    from {{ source('raw', 'definition_changes') }}
    where kind = 'experiment'
    group by key
),

-- A name of a tuple's element is the name of the member it is read from.
parsed as (
    select
        *,
        JSONExtract(
            definition,
            'Tuple(name String, status String, startedAt String, endedAt String, flagKey String, segments Array(String),
            confidenceLevel Nullable(Float64), correction String, prior Tuple(mean Nullable(Float64), stdDev Nullable(Float64)),
            plannedUsers Nullable(UInt64), guardrailPolicy String)'
        ) as said,
        JSONExtractArrayRaw(definition, 'variants') as variants,
        JSONExtractArrayRaw(definition, 'metrics') as metrics,
        JSONExtractArrayRaw(definition, 'phases') as phases
    from latest
    -- Nothing comes after a deletion.
    where definition != ''
)

select
    experiment_id,
    definition_version,
    changed_at,
    said.name as experiment_name,
    toLowCardinality(said.status) as status,
    parseDateTime64BestEffortOrNull(said.startedAt, 3, 'UTC') as started_at,
    parseDateTime64BestEffortOrNull(said.endedAt, 3, 'UTC') as ended_at,
    said.flagKey as flag_key,
    said.segments as segments,
    coalesce(said.confidenceLevel, 0.95) as confidence_level,
    toLowCardinality(if(said.correction = '', 'holm', said.correction)) as correction_method,
    said.prior.mean as prior_mean,
    said.prior.stdDev as prior_std_dev,
    said.plannedUsers as planned_users,
    toLowCardinality(if(said.guardrailPolicy = '', 'none', said.guardrailPolicy)) as guardrail_policy,
    arrayMap(variant -> JSONExtractString(variant, 'id'), variants) as variant_ids,
    arrayMap(
        phase -> assumeNotNull(parseDateTime64BestEffortOrNull(JSONExtractString(phase, 'startedAt'), 3, 'UTC')), phases
    ) as phase_starts,
    variants,
    metrics,
    phases
from parsed
