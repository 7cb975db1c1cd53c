{%- set upstreams = ['int_events', 'int_visitor_days', 'int_sessions'] -%}

{{
    config(
        order_by=['event_date', 'page'],
        partition_by='toYYYYMM(event_date)',
        post_hook=[
            "{{ drop_emptied_partitions(
                'event_date',
                changed_days_of({'int_visitor_days': 'activity_date', 'int_sessions': 'session_date'}),
                ['int_events', 'int_visitor_days', 'int_sessions']
            ) }}",
            "{{ commit_watermark(['int_events', 'int_visitor_days', 'int_sessions']) }}"
        ]
    )
}}

with

{% if is_incremental() %}
    days as (
        select changed_date as event_date
        from {{ changed_days_of({'int_visitor_days': 'activity_date', 'int_sessions': 'session_date'}) }}
    ),

{% endif %}

-- What names no page happened on the page that the visitor saw last.
moments as (
    select
        event_date,
        visitor_id,
        event_type = 'page_view' and page != '' as is_view,
        last_value(nullIf(page, '')) over (
            in_order rows between unbounded preceding and current row
        ) as current_page,
        leadInFrame(occurred_at, 1, occurred_at) over (
            in_order rows between current row and unbounded following
        ) as next_at,
        if(
            next_at > occurred_at + {{ session_gap('client_session_id') }}, 0,
            dateDiff('millisecond', occurred_at, next_at)
        ) as stay_ms
    from {{ ref('int_events') }} {{ final() }}
    where
        _version <= {{ high_watermark(upstreams) }}
        {% if is_incremental() %}
            and event_date in (select event_date from days)
        {% endif %}
    window in_order as (partition by event_date, visitor_id, client_session_id order by occurred_at, event_id)
),

views as (
    select
        event_date,
        assumeNotNull(current_page) as page,
        countIf(is_view) as view_count,
        uniqExactIf(visitor_id, is_view) as visitor_count,
        sum(stay_ms) as stay_ms
    from moments
    where current_page is not null
    group by event_date, page
),

visits as (
    select
        session_date as event_date,
        event_count = 1 as is_bounce,
        entry_page,
        exit_page
    from {{ ref('int_sessions') }} {{ final() }}
    where
        entry_page != ''
        {% if is_incremental() %}
            and session_date in (select event_date from days)
            -- A session ends on the day it starts or later: spares the older partitions.
            and end_date >= (select min(event_date) from days)
        {% endif %}
),

figures as (
    select event_date, page, view_count, visitor_count, 0 as entry_count, 0 as exit_count, 0 as bounce_count, stay_ms
    from views
    union all
    select event_date, entry_page, 0, 0, count(), 0, countIf(is_bounce), 0
    from visits
    group by event_date, entry_page
    union all
    select event_date, exit_page, 0, 0, 0, count(), 0, 0
    from visits
    group by event_date, exit_page
)

select
    event_date,
    page,
    sum(view_count) as view_count,
    sum(visitor_count) as visitor_count,
    sum(entry_count) as entry_count,
    sum(exit_count) as exit_count,
    sum(bounce_count) as bounce_count,
    sum(stay_ms) / 1000 as seconds_on_page,
    {{ high_watermark(upstreams) }} as refreshed_at
from figures
group by event_date, page
{% if is_incremental() %}
    union all
    {{ unchanged_days_of_replaced_months('event_date', 'days') }}
{% endif %}
