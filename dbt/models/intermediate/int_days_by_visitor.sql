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
    touched as (
        {% call computed_once(['visitor_id', 'event_date']) %}
            select distinct visitor_id, event_date
            from {{ ref('int_events') }}
            where _version > {{ low_watermark() }} and _version <= {{ high }}
            union distinct
            {{ replayed_visitor_days(high) }}
        {% endcall %}
    ),

{% endif %}

counted as (
    select
        visitor_id,
        event_date as activity_date,
        count() as event_count
    from {{ ref('int_events') }} {{ final() }}
    where
        _version <= {{ high }}
        {% if is_incremental() %}
            and (event_date, visitor_id) in (select event_date, visitor_id from touched)
        {% endif %}
    group by visitor_id, activity_date
)

select
    visitor_id,
    activity_date,
    toUInt32(event_count) as event_count,
    {{ high }} as _version,
    toUInt8(0) as _is_deleted
from counted
{% if is_incremental() %}
    union all
    -- Days whose events were all erased, or belong to another visitor now.
    select
        visitor_id,
        activity_date,
        toUInt32(0),
        {{ high }},
        toUInt8(1)
    from {{ this }} {{ final() }}
    where
        (visitor_id, activity_date) in (select visitor_id, event_date from touched)
        and (visitor_id, activity_date) not in (select visitor_id, activity_date from counted)
{% endif %}
