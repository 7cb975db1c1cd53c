{%- set upstreams = ['int_experiment_user_days', 'int_first_exposures'] -%}
{%- set has_covariate = 'lines.covariate_days > 0' -%}
{%- set is_ratio = "lines.metric_type = 'ratio'" -%}
{%- set sums = {
    'main_sum': none, 'main_sum_squares': none,
    'denominator_sum': is_ratio, 'denominator_sum_squares': is_ratio, 'main_denominator_sum_product': is_ratio,
    'covariate_sum': has_covariate, 'covariate_sum_squares': has_covariate, 'main_covariate_sum_product': has_covariate,
} -%}

{{
    config(
        order_by=['experiment_id', 'metric_id', 'dimension', 'dimension_value', 'variant_id', 'as_of_date'],
        partition_by='experiment_id',
        post_hook=[
            "{{ drop_emptied_partitions(
                'experiment_id', experiments_changed_in('int_experiment_user_days'),
                ['int_experiment_user_days', 'int_first_exposures']
            ) }}",
            "{{ commit_watermark(['int_experiment_user_days', 'int_first_exposures']) }}"
        ]
    )
}}

{%- set high = high_watermark(upstreams) %}

with

experiments as (
    select *, least(last_event_date, toDate({{ high }})) as last_date
    from {{ ref('int_experiments') }}
    where experiment_id in {{ experiments_changed_in('int_experiment_user_days') }}
),

person_values as (
    select
        spans.experiment_id as experiment_id,
        spans.metric_id as metric_id,
        persons.variant_id as variant_id,
        spans.valid_from as valid_from,
        spans.valid_until as valid_until,
        spans.cap_value as cap_value,
        toDecimal256(spans.uncapped_main_value, 9) as uncapped_main,
        toDecimal256(spans.main_value, 9) as main,
        toDecimal256(spans.denominator_value, 9) as denominator,
        toDecimal256(spans.covariate_value, 9) as covariate,
        map(
            '', '',
            {% for column in ['country', 'device_type', 'os_name', 'browser_name', 'source'] %}
                '{{ column }}', toString(persons.{{ column }}){{ ',' if not loop.last }}
            {% endfor %}
        ) as attributes,
        arrayJoin(arrayPushFront(experiments.segments, '')) as dimension
    from {{ ref('int_experiment_user_metrics') }} as spans
    inner join {{ ref('int_first_exposures') }} as persons
        on spans.experiment_id = persons.experiment_id and spans.visitor_id = persons.visitor_id
    inner join experiments on spans.experiment_id = experiments.experiment_id
    where spans.experiment_id in (select experiment_id from experiments)
),

-- A person's values come in on the first day for which they stand, and go out on the day after the last one.
moves as (
    select
        experiment_id,
        metric_id,
        variant_id,
        dimension,
        attributes[dimension] as dimension_value,
        if(sign = 1, valid_from, valid_until) as as_of_date,
        sum(sign) as users,
        sum(sign * main) as main_sum,
        sum(sign * main * main) as main_sum_squares,
        sum(sign * denominator) as denominator_sum,
        sum(sign * denominator * denominator) as denominator_sum_squares,
        sum(sign * main * denominator) as main_denominator_sum_product,
        sum(sign * covariate) as covariate_sum,
        sum(sign * covariate * covariate) as covariate_sum_squares,
        sum(sign * main * covariate) as main_covariate_sum_product,
        sum(sign * coalesce(uncapped_main > cap_value, false)) as capped_users,
        sum(sign * uncapped_main) as uncapped_main_sum,
        maxIf(cap_value, sign = 1) as cap_value
    from person_values
    array join [toInt8(1), toInt8(-1)] as sign
    group by experiment_id, metric_id, variant_id, dimension, dimension_value, as_of_date
),

calendar as (
    select experiment_id, dimension, dimension_value, min(min(as_of_date)) over (partition by experiment_id) as first_date
    from moves
    group by experiment_id, dimension, dimension_value
),

-- Every variant on every day since the first exposure to any, also without users.
lines as (
    select
        calendar.experiment_id as experiment_id,
        calendar.dimension as dimension,
        calendar.dimension_value as dimension_value,
        metrics.metric_id as metric_id,
        metrics.metric_type as metric_type,
        metrics.covariate_days as covariate_days,
        if(metrics.cap_type = 'absolute', metrics.cap_value, null) as declared_cap,
        variants.variant_id as variant_id,
        arrayJoin({{ dates_between('calendar.first_date', 'experiments.last_date') }}) as as_of_date
    from calendar
    inner join experiments on calendar.experiment_id = experiments.experiment_id
    inner join {{ ref('int_experiment_metrics') }} as metrics on calendar.experiment_id = metrics.experiment_id
    inner join {{ ref('int_experiment_variants') }} as variants on calendar.experiment_id = variants.experiment_id
)

select
    lines.experiment_id as experiment_id,
    lines.metric_id as metric_id,
    lines.variant_id as variant_id,
    toLowCardinality(lines.dimension) as dimension,
    lines.dimension_value as dimension_value,
    lines.as_of_date as as_of_date,
    toUInt64(sum(coalesce(moves.users, 0)) over so_far) as users,
    {% for name, condition in sums.items() %}
        {%- set total = 'sum(coalesce(moves.' ~ name ~ ', 0)) over so_far' %}
        {{ 'if(' ~ condition ~ ', ' ~ total ~ ', null)' if condition else total }} as {{ name }},
    {% endfor %}
    {% for name, type in {'n': 'UInt64', 'nstar': 'UInt64', '': 'Float64', 'lower': 'Float64', 'upper': 'Float64'}.items() %}
        cast(null, 'Nullable({{ type }})') as quantile{{ '_' ~ name if name }},
    {% endfor %}
    toUInt64(sum(coalesce(moves.capped_users, 0)) over so_far) as capped_users,
    coalesce(
        lines.declared_cap, max(moves.cap_value) over (partition by lines.experiment_id, lines.metric_id, lines.as_of_date)
    ) as cap_value,
    sum(coalesce(moves.uncapped_main_sum, 0)) over so_far as uncapped_main_sum,
    {{ high }} as refreshed_at
from lines
left join moves
    on
        lines.experiment_id = moves.experiment_id and lines.metric_id = moves.metric_id
        and lines.variant_id = moves.variant_id and lines.dimension = moves.dimension
        and lines.dimension_value = moves.dimension_value and lines.as_of_date = moves.as_of_date
window so_far as (
    partition by lines.experiment_id, lines.metric_id, lines.variant_id, lines.dimension, lines.dimension_value
    order by lines.as_of_date
    rows between unbounded preceding and current row
)
