{{
    config(
        unique_key=['activity_date', 'visitor_id'],
        engine='ReplacingMergeTree(_version, _is_deleted)',
        order_by=['activity_date', 'visitor_id'],
        partition_by='toYYYYMM(activity_date)',
        indexes=[minmax_index('_version')],
        post_hook="{{ commit_watermark(['int_events', 'int_days_by_visitor']) }}"
    )
}}

{%- set high = high_watermark(['int_events', 'int_days_by_visitor']) %}

with

{% if is_incremental() %}
    touched as ({{ touched_visitor_days(high) }}),

    touched_visitors as (select visitor_id, min(event_date) as first_touched_date from touched group by visitor_id),

{% endif %}

days as (
    select
        activity_date,
        visitor_id,
        event_count,
        activity_date = min(activity_date) over (partition by visitor_id) as is_first_day
        {% if is_incremental() %}
            ,
            (visitor_id, activity_date) in (select visitor_id, event_date from touched) as is_touched,
            minIf(activity_date, not is_touched) over (partition by visitor_id) as first_settled_date
        {% endif %}
    from {{ ref('int_days_by_visitor') }} {{ final() }}
    {% if is_incremental() %}
        where visitor_id in (select visitor_id from touched)
    {% endif %}
),

rows_of_days as (
    select
        days.activity_date as activity_date,
        days.visitor_id as visitor_id,
        days.event_count as event_count,
        toBool(days.is_first_day) as is_first_day,
        {{ high }} as _version,
        toUInt8(0) as _is_deleted
    from days
    {% if is_incremental() %}
        inner join touched_visitors on days.visitor_id = touched_visitors.visitor_id
        -- The earliest of the untouched days becomes the first day, or is it no longer, when a day before it has changed.
        where
            days.is_touched
            or (days.activity_date = days.first_settled_date and touched_visitors.first_touched_date < days.activity_date)
        union all
        -- Some of the touched days are none any more.
        select activity_date, visitor_id, toUInt32(0), false, {{ high }}, toUInt8(1)
        from {{ this }} {{ final() }}
        where (activity_date, visitor_id) in (select event_date, visitor_id from touched where has_lost_events)
    {% endif %}
)

select *
from rows_of_days
{{ 'order by _is_deleted limit 1 by activity_date, visitor_id' if is_incremental() }}
