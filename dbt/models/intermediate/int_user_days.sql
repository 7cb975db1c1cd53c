{{
    config(
        tags=['hourly'],
        unique_key=['visitor_id', 'activity_date'],
        engine='ReplacingMergeTree(_version, _is_deleted)',
        order_by=['visitor_id', 'activity_date'],
        indexes=[minmax_index('_version')],
        settings={'index_granularity': 512},
        post_hook="{{ commit_watermark(['int_events', 'int_visitor_days']) }}"
    )
}}

{%- set high = high_watermark(['int_events', 'int_visitor_days']) %}

with

{% if is_incremental() %}
    touched as (
        select activity_date, visitor_id
        from {{ ref('int_visitor_days') }}
        where _version > {{ low_watermark() }} and _version <= {{ high }}
    ),

{% endif %}

days as (
    select activity_date, visitor_id, is_first_day
    from {{ ref('int_visitor_days') }} {{ final() }}
    {% if is_incremental() %}
        where (activity_date, visitor_id) in (select activity_date, visitor_id from touched)
    {% endif %}
),

counted as (
    select
        visitor_id,
        event_date,
        -- Anonymous events of a person that is known by now belong to the user as well.
        maxIf(visitor_id, user_id != '' or anonymous_id != visitor_id) as user_id,
        min(occurred_at) as first_event_at,
        max(occurred_at) as last_event_at,
        count() as event_count,
        countIf(event_type = 'page_view') as page_view_count,
        countIf(event_name in ({{ quoted(var('conversion_events')) }})) as conversion_count,
        arraySort(groupUniqArrayIf(order_id, revenue_kind = 'sale')) as order_ids,
        uniqExactIf(currency, revenue_kind = 'sale') > 1 as is_mixed,
        if(is_mixed, 0, sumIf(coalesce(revenue_amount, 0), revenue_kind = 'sale')) as revenue_amount,
        if(is_mixed, 'mixed', anyIf(currency, revenue_kind = 'sale')) as currency,
        argMaxIf(country, {{ event_order() }}, country != '') as country,
        argMaxIf(device_type, {{ event_order() }}, device_type != '') as device_type
    from {{ ref('int_events') }} {{ final() }}
    where
        _version <= {{ high }}
        {% if is_incremental() %}
            and (event_date, visitor_id) in (select activity_date, visitor_id from touched)
        {% endif %}
    group by visitor_id, event_date
)

select
    counted.visitor_id as visitor_id,
    counted.event_date as activity_date,
    toBool(days.is_first_day) as is_first_day,
    counted.user_id as user_id,
    counted.first_event_at as first_event_at,
    counted.last_event_at as last_event_at,
    toUInt32(counted.event_count) as event_count,
    toUInt32(counted.page_view_count) as page_view_count,
    toUInt32(counted.conversion_count) as conversion_count,
    counted.order_ids as order_ids,
    counted.revenue_amount as revenue_amount,
    toLowCardinality(counted.currency) as currency,
    toLowCardinality(counted.country) as country,
    toLowCardinality(counted.device_type) as device_type,
    {{ high }} as _version,
    toUInt8(0) as _is_deleted
from counted
inner join days on counted.visitor_id = days.visitor_id and counted.event_date = days.activity_date
{% if is_incremental() %}
    union all
    -- Days whose events were all erased, or belong to another visitor now.
    select * except (_version, _is_deleted), {{ high }}, toUInt8(1)
    from {{ this }} {{ final() }}
    where
        (visitor_id, activity_date) in (select visitor_id, activity_date from touched)
        and (visitor_id, activity_date) not in (select visitor_id, event_date from counted)
{% endif %}
