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
{%- set path, method = ['route', 'endpoint', 'path', 'url'], ['method', 'http_method', 'httpMethod'] %}
{%- set status = ['status_code', 'statusCode', 'http_status', 'status'] %}
{%- set duration = ['duration_ms', 'durationMs', 'latency_ms', 'response_time_ms', 'duration'] %}

with

{% if is_incremental() %}
    days as (
        select event_date from {{ changed_days('int_events', 'event_date') }}
    ),

{% endif %}

{{ events_with_properties(var('api_request_events'), high) }},

said as (
    select
        event_date,
        {{ properties_as_text(path + method + status + duration) }} as known,
        {{ first_property(path) }} as location,
        if(position(location, '://') > 0, path(location), cutQueryStringAndFragment(location)) as requested_path,
        trimBoth(concat(upper({{ first_property(method) }}), ' ', requested_path)) as endpoint,
        toUInt16OrZero({{ first_property(status) }}) as status_code,
        {{ property_number(first_property(duration)) }} as measured_ms
    from events
),

requests as (
    select *, assumeNotNull(measured_ms) as duration_ms
    from said
    where measured_ms >= 0
),

grouped as (
    select
        event_date,
        dimension,
        dimension_value,
        count() as request_count,
        quantilesExactInclusive(0.5, 0.75, 0.95, 0.99)(duration_ms) as percentiles,
        countIf(status_code between 400 and 499) as client_error_count,
        countIf(status_code between 500 and 599) as server_error_count
    from requests
    array join
        ['', 'endpoint'] as dimension,
        ['', endpoint] as dimension_value
    group by event_date, dimension, dimension_value
)

select
    event_date,
    toLowCardinality(dimension) as dimension,
    dimension_value,
    request_count,
    percentiles[1] as p50_ms,
    percentiles[2] as p75_ms,
    percentiles[3] as p95_ms,
    percentiles[4] as p99_ms,
    client_error_count,
    server_error_count,
    server_error_count / request_count as server_error_rate,
    {{ high }} as refreshed_at
from grouped
{% if is_incremental() %}
    union all
    {{ unchanged_days_of_replaced_months('event_date', 'days') }}
{% endif %}
