{{
    config(
        order_by=['session_date', 'channel', 'country', 'device_type'],
        partition_by='toYYYYMM(session_date)',
        post_hook=[
            "{{ drop_emptied_partitions(
                'session_date', changed_days('int_sessions', 'session_date'), ['sessions']
            ) }}",
            "{{ commit_watermark(['sessions']) }}"
        ]
    )
}}

-- depends_on: {{ ref('int_sessions') }}

with

{% if is_incremental() %}
    days as (
        select session_date from {{ changed_days('int_sessions', 'session_date') }}
    ),

{% endif %}

counted as (
    select
        session_date,
        channel,
        country,
        device_type,
        count() as session_count,
        countIf(is_bounce) as bounce_count,
        countIf(is_engaged) as engaged_session_count,
        countIf(order_count > 0) as session_with_order_count,
        toUInt64(sum(page_view_count)) as page_view_count,
        toUInt64(sum(conversion_count)) as conversion_count,
        toDecimal128(sum(dateDiff('millisecond', started_at, ended_at)), 4) / 1000 as duration_seconds,
        {{ high_watermark(['sessions']) }} as refreshed_at
    from {{ ref('sessions') }}
    {% if is_incremental() %}
        where session_date in (select session_date from days)
    {% endif %}
    group by session_date, channel, country, device_type
)

select * from counted
{% if is_incremental() %}
    union all
    {{ unchanged_days_of_replaced_months('session_date', 'days') }}
{% endif %}
