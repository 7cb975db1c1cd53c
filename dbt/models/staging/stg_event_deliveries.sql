{{ config(materialized='view') }}

with

deliveries as (select * from {{ source('raw', 'events') }})

select
    event_id,
    event_name,
    source,
    received_at,
    inserted_at
from deliveries
