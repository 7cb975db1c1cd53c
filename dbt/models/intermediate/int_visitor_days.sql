{{
    config(
        unique_key=['activity_date', 'visitor_id'],
        engine='ReplacingMergeTree(_version, _is_deleted)',
        order_by=['activity_date', 'visitor_id'],
        partition_by='toYYYYMM(activity_date)',
        indexes=[minmax_index('_version')],
        post_hook="{{ commit_watermark(['stg_events', 'int_visitors']) }}"
    )
}}

{%- set high = high_watermark(['stg_events', 'int_visitors']) %}

with

{% if is_incremental() %}
    touched as (
        select distinct
            visitor_id,
            event_date
        from {{ ref('stg_events') }}
        where inserted_at > {{ low_watermark() }} and inserted_at <= {{ high }}
        union distinct
        select
            visitor_id,
            arrayJoin({{ dates_between('toDate(first_at)', 'toDate(last_at)') }}) as event_date
        from {{ source('ops', 'replay_requests') }}
        where requested_at > {{ low_watermark() }} and requested_at <= {{ high }}
    ),

    first_days as (
        select
            visitor_id,
            min(first_date) as first_date,
            groupArray(first_date) as former_dates
        from {{ ref('int_visitors') }}
        where visitor_id in (select visitor_id from touched)
        group by visitor_id
    ),

    -- When the first day of a visitor moves back, the day that was the first until now changes as well.
    concerned as (
        select
            event_date,
            visitor_id
        from touched
        union distinct
        select
            activity_date,
            visitor_id
        from {{ this }} {{ final() }}
        where
            (activity_date, visitor_id) in (
                select
                    arrayJoin(arrayFilter(former_date -> former_date > first_date, former_dates)),
                    visitor_id
                from first_days
            )
            and is_first_day
    ),

{% else %}
    first_days as (
        select
            visitor_id,
            min(first_date) as first_date
        from {{ ref('int_visitors') }}
        group by visitor_id
    ),

{% endif %}

counted as (
    select
        event_date as activity_date,
        visitor_id,
        count() as event_count
    from {{ ref('stg_events') }} {{ final() }}
    where
        inserted_at <= {{ high }}
        {% if is_incremental() %}
            and (event_date, visitor_id) in (select event_date, visitor_id from concerned)
        {% endif %}
    group by activity_date, visitor_id
),

present as (
    select
        counted.activity_date,
        counted.visitor_id,
        counted.event_count,
        counted.activity_date = first_days.first_date as is_first_day,
        0 as is_deleted
    from counted
    inner join first_days on counted.visitor_id = first_days.visitor_id
)

{% if is_incremental() %}
    ,

    -- Days whose events were all erased.
    vanished as (
        select
            activity_date,
            visitor_id,
            0 as event_count,
            0 as is_first_day,
            1 as is_deleted
        from {{ this }} {{ final() }}
        where
            (activity_date, visitor_id) in (select event_date, visitor_id from concerned)
            and (activity_date, visitor_id) not in (select activity_date, visitor_id from counted)
    )
{% endif %}

select
    activity_date,
    visitor_id,
    toUInt32(event_count) as event_count,
    toBool(is_first_day) as is_first_day,
    {{ high }} as _version,
    toUInt8(is_deleted) as _is_deleted
from (
    select * from present
    {% if is_incremental() %}
        union all
        select * from vanished
    {% endif %}
)
