{{
    config(
        unique_key=['visitor_id', 'activity_date'],
        engine='ReplacingMergeTree(_version, _is_deleted)',
        order_by=['visitor_id', 'activity_date'],
        settings={'index_granularity': 512},
        post_hook="{{ commit_watermark(['int_events']) }}"
    )
}}

{%- set high = high_watermark(['int_events']) %}

with

{% if is_incremental() %}
    touched as ({{ touched_visitor_days(high) }}),

{% endif %}

days as (
    select
        visitor_id,
        event_date as activity_date,
        1 as event_count,
        0 as is_stored
    from {{ ref('int_events') }} {{ final() }}
    where
        _version <= {{ high }}
        {% if is_incremental() %}
            and (event_date, visitor_id) in (select event_date, visitor_id from touched)
    union all
    -- Of some of these days all events were erased, or belong to another visitor now.
    select
        visitor_id,
        activity_date,
        0,
        1
    from {{ this }} {{ final() }}
    where (visitor_id, activity_date) in (select visitor_id, event_date from touched where has_lost_events)
        {% endif %}
)

select
    visitor_id,
    activity_date,
    toUInt32(sum(event_count)) as event_count,
    {{ high }} as _version,
    toUInt8(min(is_stored)) as _is_deleted
from days
group by visitor_id, activity_date
