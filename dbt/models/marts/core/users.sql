{%- set upstreams = ['int_user_days', 'int_user_traits', 'sessions'] -%}

{{
    config(
        order_by='visitor_id',
        partition_by='toYYYYMM(last_seen_date)',
        settings={'index_granularity': 512},
        post_hook=[
            "{{ drop_emptied_partitions(
                'visitor_id',
                changed_visitors('int_user_days'),
                ['int_user_days', 'int_user_traits', 'sessions']
            ) }}",
            "{{ commit_watermark(['int_user_days', 'int_user_traits', 'sessions']) }}"
        ]
    )
}}

with

{% if is_incremental() %}
    touched as (
        select visitor_id from {{ changed_visitors('int_user_days') }}
    ),

{% endif %}

lives as (
    select
        visitor_id,
        max(user_id) as user_id,
        min(first_event_at) as first_seen_at,
        max(last_event_at) as last_seen_at,
        count() as active_day_count,
        sum(event_count) as event_count,
        sum(page_view_count) as page_view_count,
        sum(conversion_count) as conversion_count,
        length(groupUniqArrayArray(order_ids)) as order_count,
        uniqExactIf(currency, currency != '') > 1 as is_mixed,
        if(is_mixed, 0, sum(revenue_amount)) as revenue_amount,
        if(is_mixed, 'mixed', anyIf(currency, currency != '')) as currency,
        argMaxIf(country, activity_date, country != '') as country,
        argMaxIf(device_type, activity_date, device_type != '') as device_type
    from {{ ref('int_user_days') }} {{ final() }}
    {% if is_incremental() %}
        where visitor_id in (select visitor_id from touched)
    {% endif %}
    group by visitor_id
),

-- The first event of a visitor begins a session.
first_visits as (
    select
        visitor_id,
        argMin(
            (channel, traffic_source, utm_medium, utm_campaign, entry_page), (started_at, session_id)
        ) as entry
    from {{ ref('sessions') }}
    {% if is_incremental() %}
        where (session_date, visitor_id) in (select toDate(first_seen_at), visitor_id from lives)
    {% endif %}
    group by visitor_id
),

traits as (
    select
        visitor_id,
        trait,
        argMax(value, activity_date) as value
    from {{ ref('int_user_traits') }} {{ final() }}
    {% if is_incremental() %}
        where visitor_id in (select visitor_id from touched)
    {% endif %}
    group by visitor_id, trait
),

-- null takes a trait back.
profiles as (
    select
        visitor_id,
        concat(
            '{', arrayStringConcat(arraySort(groupArray(concat(toJSONString(trait), ':', value))), ','), '}'
        ) as properties
    from traits
    where value != 'null'
    group by visitor_id
)

select
    lives.visitor_id as visitor_id,
    lives.user_id as user_id,
    lives.first_seen_at as first_seen_at,
    lives.last_seen_at as last_seen_at,
    toDate(lives.first_seen_at) as first_seen_date,
    toDate(lives.last_seen_at) as last_seen_date,
    toLowCardinality(coalesce(first_visits.entry.1, '')) as first_channel,
    toLowCardinality(coalesce(first_visits.entry.2, '')) as first_traffic_source,
    toLowCardinality(coalesce(first_visits.entry.3, '')) as first_utm_medium,
    toLowCardinality(coalesce(first_visits.entry.4, '')) as first_utm_campaign,
    coalesce(first_visits.entry.5, '') as first_page,
    toUInt32(lives.active_day_count) as active_day_count,
    lives.event_count as event_count,
    lives.page_view_count as page_view_count,
    lives.conversion_count as conversion_count,
    lives.order_count as order_count,
    lives.revenue_amount as revenue_amount,
    toLowCardinality(lives.currency) as currency,
    toLowCardinality(lives.country) as country,
    toLowCardinality(lives.device_type) as device_type,
    JSONExtractString(coalesce(profiles.properties, ''), 'email') as email,
    JSONExtractString(coalesce(profiles.properties, ''), 'name') as name,
    coalesce(profiles.properties, '{}') as properties,
    {{ high_watermark(upstreams) }} as refreshed_at
from lives
left join first_visits on lives.visitor_id = first_visits.visitor_id
left join profiles on lives.visitor_id = profiles.visitor_id
{% if is_incremental() %}
    union all
    -- The months of touched visitors' last days, before and now, are replaced; others seen last in them are taken over.
    select *
    from {{ this }}
    where
        toYYYYMM(last_seen_date) in (
            select toYYYYMM(last_seen_at) from lives
            union distinct
            select toYYYYMM(last_seen_date) from {{ this }} where visitor_id in (select visitor_id from touched)
        )
        and visitor_id not in (select visitor_id from touched)
{% endif %}
