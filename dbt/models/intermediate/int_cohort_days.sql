{{
    config(
        tags=['hourly'],
        unique_key=['activity_date', 'visitor_id'],
        engine='ReplacingMergeTree(_version, _is_deleted)',
        order_by=['activity_date', 'visitor_id'],
        partition_by='toYYYYMM(activity_date)',
        indexes=[minmax_index('_version')],
        post_hook="{{ commit_watermark(['int_visitor_days', 'int_days_by_visitor']) }}"
    )
}}

{%- set high = high_watermark(['int_visitor_days', 'int_days_by_visitor']) %}

with

{% if is_incremental() %}
    touched as (
        select activity_date, visitor_id
        from {{ ref('int_visitor_days') }}
        where _version > {{ low_watermark() }} and _version <= {{ high }}
    ),

    touched_visitors as (
        select visitor_id, groupArray(activity_date) as touched_dates
        from touched
        group by visitor_id
    ),

{% endif %}

days as (
    select
        activity_date,
        visitor_id,
        min(activity_date) over (partition by visitor_id) as first_date,
        lagInFrame(activity_date, 1, activity_date) over (
            partition by visitor_id order by activity_date
            rows between unbounded preceding and current row
        ) as previous_date
    from {{ ref('int_days_by_visitor') }} {{ final() }}
    {% if is_incremental() %}
        where visitor_id in (select visitor_id from touched_visitors)
    {% endif %}
)

{% if is_incremental() %}
    ,

    -- A day looks back as far as the active day before it; all of them look back to the first.
    fresh as (
        select days.*
        from days
        inner join touched_visitors on days.visitor_id = touched_visitors.visitor_id
        where
            arrayMin(touched_visitors.touched_dates) <= days.first_date
            or arrayExists(
                touched_date -> touched_date between days.previous_date and days.activity_date,
                touched_visitors.touched_dates
            )
    ),

    stored as (
        select activity_date, visitor_id, first_date, previous_date
        from {{ this }} {{ final() }}
        where
            (activity_date, visitor_id) in (
                select activity_date, visitor_id from fresh
                union distinct
                select activity_date, visitor_id from touched
            )
    )
{% else %}
    , fresh as (select * from days)
{% endif %}

select
    activity_date,
    visitor_id,
    first_date,
    previous_date,
    {{ high }} as _version,
    toUInt8(0) as _is_deleted
from fresh
{% if is_incremental() %}
    where
        (activity_date, visitor_id, first_date, previous_date) not in (
            select activity_date, visitor_id, first_date, previous_date from stored
        )
    union all
    select
        activity_date,
        visitor_id,
        first_date,
        previous_date,
        {{ high }},
        toUInt8(1)
    from stored
    where (activity_date, visitor_id) not in (select activity_date, visitor_id from fresh)
{% endif %}
