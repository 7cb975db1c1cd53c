{{ config(tags=['nightly'], meta={'dagster': {'ref': {'name': 'stg_events'}}}) }}

-- Every event id that arrived up to the watermark of stg_events is staged once: no row slipped past the watermark, none
-- was taken twice.
with

arrived as (
    select uniqExact({{ event_key('event_id') }}) as events
    from {{ source('raw', 'events') }}
    where inserted_at <= {{ committed_watermark('stg_events') }}
),

staged as (
    select count() as events
    from {{ ref('stg_events') }} final
    where inserted_at <= {{ committed_watermark('stg_events') }}
)

select
    arrived.events as arrived_events,
    staged.events as staged_events
from arrived
cross join staged
where arrived.events != staged.events
