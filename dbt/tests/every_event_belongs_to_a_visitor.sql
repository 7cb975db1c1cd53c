{{ config(tags=['nightly'], meta={'dagster': {'ref': {'name': 'int_events'}}}) }}

-- Every staged event that counts, up to the watermark of int_events, is there under one visitor; no other event is.
with

staged as (
    select count() as events, sum(cityHash64(event_id)) as ids
    from {{ ref('stg_events') }} final
    where {{ is_counted() }} and inserted_at <= {{ committed_watermark('int_events') }}
),

found as (
    select count() as events, sum(cityHash64(event_id)) as ids
    from {{ ref('int_events') }} final
    where inserted_at <= {{ committed_watermark('int_events') }}
)

select
    staged.events as staged_events,
    found.events as found_events
from staged
cross join found
where staged.events != found.events or staged.ids != found.ids
