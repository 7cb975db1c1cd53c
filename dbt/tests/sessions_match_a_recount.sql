{{ config(tags=['nightly'], meta={'dagster': {'ref': {'name': 'int_sessions'}}}) }}

-- The runs of events without silence, uncut sessions, of one visitor in a hundred, another hundredth every day, counted from
-- scratch.
{%- set sampled = 'cityHash64(visitor_id) % 100 = toDayOfYear(now()) % 100' %}

with

separated as (
    select
        visitor_id,
        occurred_at > lagInFrame(occurred_at, 1, toDateTime64('1900-01-01 00:00:00', 3, 'UTC')) over (
            partition by visitor_id, client_session_id order by occurred_at
            rows between unbounded preceding and current row
        ) + {{ session_gap('client_session_id') }} as is_run_start
    from {{ ref('int_events') }} final
    where {{ sampled }} and _version <= {{ committed_watermark('int_sessions') }}
),

expected as (
    select visitor_id, sum(is_run_start) as runs, count() as events
    from separated
    group by visitor_id
),

found as (
    select visitor_id, uniqExact(client_session_id, run_started_at) as runs, sum(event_count) as events
    from {{ ref('int_sessions') }} final
    where {{ sampled }}
    group by visitor_id
)

select *
from expected
full outer join found on expected.visitor_id = found.visitor_id
where not coalesce(expected.runs = found.runs and expected.events = found.events, false)
