{{ config(materialized='view') }}

with

rejections as (select * from {{ source('raw', 'rejected_events') }})

select
    rejection_id,
    event_id,
    event_name,
    code,
    rejected_by,
    source,
    received_at,
    inserted_at
from rejections
