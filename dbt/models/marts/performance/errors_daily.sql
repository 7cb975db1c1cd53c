{{
    config(
        order_by=['event_date', 'dimension', 'dimension_value'],
        partition_by='toYYYYMM(event_date)',
        post_hook=[
            "{{ drop_emptied_partitions(
                'event_date', changed_days('int_events', 'event_date'), ['int_events', 'stg_events']
            ) }}",
            "{{ commit_watermark(['int_events', 'stg_events']) }}"
        ]
    )
}}

{%- set high = high_watermark(['int_events', 'stg_events']) %}
{%- set types = ['error_type', 'errorType', 'exception_type', '$exception_type', 'exceptionName', 'type', 'name'] %}

with

{% if is_incremental() %}
    days as (
        select event_date from {{ changed_days('int_events', 'event_date') }}
    ),

{% endif %}

{{ events_with_properties(var('error_events'), high) }},

errors as (
    select
        event_date,
        visitor_id,
        page,
        {{ properties_as_text(types) }} as known,
        multiIf(
            {{ first_property(types) }} != '', {{ first_property(types) }},
            JSONHas(properties, '$exception_list'), JSONExtractString(properties, '$exception_list', 1, 'type'),
            JSONExtractString(properties, '$exception_types', 1)
        ) as error_type
    from events
),

errors_by_dimension as (
    select
        event_date,
        dimension,
        dimension_value,
        -- Of what an error is a share: of all that happened on its page, or else on the day.
        if(dimension = 'page', 'page', '') as base,
        if(dimension = 'page', dimension_value, '') as base_value,
        count() as error_count,
        uniqExact(visitor_id) as affected_visitor_count
    from errors
    array join
        ['', 'page', 'error_type'] as dimension,
        ['', page, error_type] as dimension_value
    group by event_date, dimension, dimension_value
),

activity as (
    select
        event_date,
        base,
        base_value,
        count() as event_count,
        uniqExact(visitor_id) as visitor_count
    from {{ ref('int_events') }} {{ final() }}
    array join
        ['', 'page'] as base,
        ['', page] as base_value
    where
        _version <= {{ high }}
        and (base = '' or (event_date, page) in (select event_date, page from errors))
        {% if is_incremental() %}
            and event_date in (select event_date from days)
        {% endif %}
    group by event_date, base, base_value
)

select
    activity.event_date as event_date,
    toLowCardinality(coalesce(errors_by_dimension.dimension, '')) as dimension,
    coalesce(errors_by_dimension.dimension_value, '') as dimension_value,
    coalesce(errors_by_dimension.error_count, 0) as error_count,
    coalesce(errors_by_dimension.affected_visitor_count, 0) as affected_visitor_count,
    activity.event_count as event_count,
    activity.visitor_count as visitor_count,
    coalesce(errors_by_dimension.error_count, 0) / activity.event_count as error_rate,
    coalesce(errors_by_dimension.affected_visitor_count, 0) / activity.visitor_count as affected_visitor_rate,
    {{ high }} as refreshed_at
from activity
left join errors_by_dimension
    on
        activity.event_date = errors_by_dimension.event_date
        and activity.base = errors_by_dimension.base
        and activity.base_value = errors_by_dimension.base_value
{% if is_incremental() %}
    union all
    {{ unchanged_days_of_replaced_months('event_date', 'days') }}
{% endif %}
