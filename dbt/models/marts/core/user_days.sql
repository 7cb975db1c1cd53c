{%- set upstreams = ['int_user_days', 'sessions'] -%}

{{
    config(
        order_by=['activity_date', 'visitor_id'],
        partition_by='activity_date',
        post_hook=[
            "{{ drop_emptied_partitions(
                '(activity_date, visitor_id)', changed_user_days(), ['int_user_days', 'sessions']
            ) }}",
            "{{ commit_watermark(['int_user_days', 'sessions']) }}"
        ]
    )
}}

-- depends_on: {{ ref('int_sessions') }}

with

{% if is_incremental() %}
    touched as (
        select activity_date, visitor_id from {{ changed_user_days() }}
    ),

{% endif %}

days as (
    select *
    from {{ ref('int_user_days') }} {{ final() }}
    {% if is_incremental() %}
        where (visitor_id, activity_date) in (select visitor_id, activity_date from touched)
    {% endif %}
),

visits as (
    select
        session_date,
        visitor_id,
        count() as session_count,
        countIf(is_engaged) as engaged_session_count,
        sum(dateDiff('millisecond', started_at, ended_at)) as duration_ms,
        argMin(channel, (started_at, session_id)) as channel
    from {{ ref('sessions') }}
    {% if is_incremental() %}
        where (session_date, visitor_id) in (select activity_date, visitor_id from touched)
    {% endif %}
    group by session_date, visitor_id
)

select
    days.activity_date as activity_date,
    days.visitor_id as visitor_id,
    days.user_id as user_id,
    days.is_first_day as is_first_day,
    days.first_event_at as first_event_at,
    days.last_event_at as last_event_at,
    days.event_count as event_count,
    days.page_view_count as page_view_count,
    toUInt32(coalesce(visits.session_count, 0)) as session_count,
    toUInt32(coalesce(visits.engaged_session_count, 0)) as engaged_session_count,
    coalesce(visits.duration_ms, 0) / 1000 as duration_seconds,
    days.conversion_count as conversion_count,
    toUInt32(length(days.order_ids)) as order_count,
    days.revenue_amount as revenue_amount,
    days.currency as currency,
    toLowCardinality(coalesce(visits.channel, '')) as channel,
    days.country as country,
    days.device_type as device_type,
    {{ high_watermark(upstreams) }} as refreshed_at
from days
left join visits on days.activity_date = visits.session_date and days.visitor_id = visits.visitor_id
{% if is_incremental() %}
    union all
    -- Days are replaced whole. The visitors of such a day for whom nothing changed are taken over as they are.
    select *
    from {{ this }}
    where
        activity_date in (select activity_date from touched)
        and (activity_date, visitor_id) not in (select activity_date, visitor_id from touched)
{% endif %}
