{{
    config(
        order_by=['event_date', 'metric', 'dimension', 'dimension_value'],
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
{%- set metrics = var('performance_metrics') %}
{%- set name, value, id = ['metric', 'metric_name', 'name'], ['metric_value', 'value'], ['metric_id', 'id'] %}
{%- set declared = metrics.values() | map(attribute='properties') | sum(start=[]) %}

with

{% if is_incremental() %}
    days as (
        select event_date from {{ changed_days('int_events', 'event_date') }}
    ),

{% endif %}

{{ events_with_properties(var('performance_events'), high) }},

said as (
    select
        *,
        {{ properties_as_text((name + value + id + declared) | unique(case_sensitive=true)) }} as known,
        lower({{ first_property(name) }}) as named_metric,
        {{ first_property(value) }} as named_value,
        {{ first_property(id) }} as named_id
    from events
),

measured as (
    select
        event_date,
        occurred_at,
        event_id,
        visitor_id,
        page,
        device_type,
        if(named_id = '', event_id, named_id) as measurement_id,
        metric,
        unit,
        good,
        poor,
        {{ property_number('measured_text') }} as measured_value
    from said
    array join
        [{{ quoted(metrics.keys()) }}] as metric,
        [{{ quoted(metrics.values() | map(attribute='unit')) }}] as unit,
        [{{ metrics.values() | map(attribute='good') | join(', ') }}] as good,
        [{{ metrics.values() | map(attribute='poor') | join(', ') }}] as poor,
        [
            {% for metric in metrics %}
                if(named_metric = '{{ metric | lower }}', named_value, {{ first_property(metrics[metric].properties) }})
                {{- ',' if not loop.last }}
            {% endfor %}
        ] as measured_text
),

-- A browser reports CLS and INP again, under the same id, while they grow.
measurements as (
    select *, assumeNotNull(measured_value) as value
    from measured
    where measured_value >= 0
    order by occurred_at desc, event_id desc
    limit 1 by event_date, metric, measurement_id
),

grouped as (
    select
        event_date,
        metric,
        dimension,
        dimension_value,
        any(unit) as unit,
        count() as measurement_count,
        uniqExact(visitor_id) as visitor_count,
        quantilesExactInclusive(0.5, 0.75, 0.95)(value) as percentiles,
        countIf(value <= good) / measurement_count as good_rate,
        countIf(value > good and value <= poor) / measurement_count as needs_improvement_rate,
        countIf(value > poor) / measurement_count as poor_rate,
        multiIf(percentiles[2] <= any(good), 'good', percentiles[2] <= any(poor), 'needs improvement', 'poor') as rating
    from measurements
    array join
        ['', 'page', 'device_type'] as dimension,
        ['', page, toString(device_type)] as dimension_value
    group by event_date, metric, dimension, dimension_value
)

select
    event_date,
    toLowCardinality(metric) as metric,
    toLowCardinality(dimension) as dimension,
    dimension_value,
    toLowCardinality(unit) as unit,
    measurement_count,
    visitor_count,
    percentiles[1] as p50_value,
    percentiles[2] as p75_value,
    percentiles[3] as p95_value,
    good_rate,
    needs_improvement_rate,
    poor_rate,
    toLowCardinality(rating) as rating,
    {{ high }} as refreshed_at
from grouped
{% if is_incremental() %}
    union all
    {{ unchanged_days_of_replaced_months('event_date', 'days') }}
{% endif %}
