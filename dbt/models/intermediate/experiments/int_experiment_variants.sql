{{ config(materialized='table', order_by=['experiment_id', 'variant_id']) }}

with

experiments as (select * from {{ ref('int_experiments') }}),

variants as (
    select
        experiment_id,
        arrayJoin(variants) as variant,
        JSONExtract(variant, 'Tuple(id String, name String, isControl Bool)') as said,
        arrayMap(phase -> JSONExtract(phase, 'allocations', 'Map(String, Float64)')[said.id], phases) as phase_shares,
        JSONExtractString(
            arrayFirst(other -> JSONExtractBool(other, 'isControl'), variants), 'id'
        ) as control_variant_id
    from experiments
)

select
    experiment_id,
    said.id as variant_id,
    if(said.name = '', said.id, said.name) as variant_name,
    said.isControl as is_control,
    control_variant_id,
    phase_shares
from variants
