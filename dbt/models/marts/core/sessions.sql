{{
    config(
        order_by=['session_date', 'visitor_id', 'started_at'],
        partition_by='session_date',
        post_hook=[
            "{{ drop_emptied_partitions('session_date', changed_days('int_sessions', 'session_date'), ['int_sessions']) }}",
            "{{ commit_watermark(['int_sessions']) }}"
        ]
    )
}}

with

sessions as (
    select *
    from {{ ref('int_sessions') }} {{ final() }}
    {% if is_incremental() %}
        where
            session_date in {{ changed_days('int_sessions', 'session_date') }}
            -- A session ends on the day it starts or later: spares the older partitions.
            and end_date >= (select min(session_date) from {{ changed_days('int_sessions', 'session_date') }})
    {% endif %}
),

-- Sessions have few different origins: the rules are tried once for each.
origins as (
    select distinct
        utm_source,
        utm_medium,
        click_id,
        referrer_host,
        lower(if(utm_source != '', utm_source, referrer_host)) as origin
    from sessions
),

typed_origins as (
    select
        *,
        (select mapFromArrays(groupArray(source), groupArray(source_type)) from {{ ref('traffic_sources') }}) as types,
        arrayFirst(
            source_type -> source_type != '',
            [types[origin], types[cutToFirstSignificantSubdomain(origin)], types[firstSignificantSubdomain(origin)]]
        ) as source_type
    from origins
),

channels as (
    select
        typed_origins.utm_source as utm_source,
        typed_origins.utm_medium as utm_medium,
        typed_origins.click_id as click_id,
        typed_origins.referrer_host as referrer_host,
        argMin(rules.channel, rules.priority) as channel
    from typed_origins
    cross join {{ ref('channel_rules') }} as rules
    where
        {% for text, pattern in [
            ('lower(typed_origins.utm_medium)', 'rules.medium'),
            ('lower(typed_origins.utm_source)', 'rules.source'),
            ('typed_origins.source_type', 'rules.source_type'),
            ('lower(typed_origins.click_id)', 'rules.click_id'),
            ('typed_origins.referrer_host', 'rules.referrer_host'),
        ] %}
            match({{ text }}, concat('(?s)^(', {{ pattern }}, ')$')){{ ' and' if not loop.last }}
        {% endfor %}
    group by utm_source, utm_medium, click_id, referrer_host
)

select
    sessions.session_id as session_id,
    sessions.visitor_id as visitor_id,
    sessions.user_id as user_id,
    sessions.client_session_id as client_session_id,
    sessions.session_date as session_date,
    sessions.started_at as started_at,
    sessions.ended_at as ended_at,
    dateDiff('millisecond', sessions.started_at, sessions.ended_at) / 1000 as duration_seconds,
    sessions.event_count as event_count,
    sessions.page_view_count as page_view_count,
    sessions.conversion_count as conversion_count,
    toBool(sessions.event_count = 1) as is_bounce,
    toBool(duration_seconds >= 10 or page_view_count >= 2 or conversion_count >= 1) as is_engaged,
    sessions.entry_page as entry_page,
    sessions.exit_page as exit_page,
    sessions.order_count as order_count,
    sessions.revenue_amount as revenue_amount,
    sessions.currency as currency,
    sessions.source as source,
    toLowCardinality(coalesce(channels.channel, 'Other')) as channel,
    toLowCardinality(if(sessions.utm_source != '', sessions.utm_source, sessions.referrer_host)) as traffic_source,
    sessions.utm_source as utm_source,
    sessions.utm_medium as utm_medium,
    sessions.utm_campaign as utm_campaign,
    sessions.referrer_host as referrer_host,
    sessions.country as country,
    sessions.device_type as device_type,
    sessions.os_name as os_name,
    sessions.browser_name as browser_name,
    {{ high_watermark(['int_sessions']) }} as refreshed_at
from sessions
left join channels
    on
        sessions.utm_source = channels.utm_source
        and sessions.utm_medium = channels.utm_medium
        and sessions.click_id = channels.click_id
        and sessions.referrer_host = channels.referrer_host
