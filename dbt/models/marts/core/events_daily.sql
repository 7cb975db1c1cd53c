{{
    config(
        order_by=['event_date', 'event_name', 'event_type'],
        partition_by='toYYYYMM(event_date)',
        post_hook=[
            "{{ drop_emptied_partitions(
                'event_date', changed_days('int_visitor_days', 'activity_date'), ['int_events', 'int_visitor_days']
            ) }}",
            "{{ commit_watermark(['int_events', 'int_visitor_days']) }}"
        ]
    )
}}

with

{% if is_incremental() %}
    days as (
        select activity_date as event_date from {{ changed_days('int_visitor_days', 'activity_date') }}
    ),

{% endif %}

counted as (
    select
        event_date,
        event_name,
        event_type,
        count() as event_count,
        uniqExact(visitor_id) as visitor_count,
        {{ high_watermark(['int_events', 'int_visitor_days']) }} as refreshed_at
    from {{ ref('int_events') }} {{ final() }}
    where
        _version <= {{ high_watermark(['int_events', 'int_visitor_days']) }}
        {% if is_incremental() %}
            and event_date in (select event_date from days)
        {% endif %}
    group by event_date, event_name, event_type
)

select * from counted
{% if is_incremental() %}
    union all
    {{ unchanged_days_of_replaced_months('event_date', 'days') }}
{% endif %}
