{%- set estimated = [
    'absolute_difference', 'absolute_std_error', 'absolute_ci_lower', 'absolute_ci_upper', 'relative_lift',
    'relative_std_error', 'relative_ci_lower', 'relative_ci_upper', 'relative_ci_method', 'test_method', 'test_statistic',
    'degrees_of_freedom', 'p_value', 'p_value_adjusted', 'correction_method', 'alpha', 'is_significant',
    'sequential_p_value', 'sequential_p_value_adjusted', 'sequential_ci_lower', 'sequential_ci_upper',
    'sequential_relative_ci_lower', 'sequential_relative_ci_upper', 'sequential_tuning_parameter',
    'is_significant_sequential', 'chance_to_win', 'expected_loss', 'posterior_mean', 'posterior_std_dev',
    'credible_interval_lower', 'credible_interval_upper', 'prior_mean', 'prior_std_dev', 'prior_is_proper',
    'is_cuped_adjusted', 'cuped_theta', 'variance_reduction', 'non_inferiority_margin', 'non_inferiority_p_value',
    'guardrail_status', 'mde_relative', 'required_users', 'runtime_days', 'srm_p_value', 'srm_detected',
    'multiple_exposure_users', 'multiple_exposure_rate', 'status', 'validation_failures', 'is_reliable'
] -%}

{{ config(materialized='view') }}

with

named as (
    select
        {% for column in [
            'experiment_id', 'metric_id', 'variant_id', 'dimension', 'dimension_value', 'as_of_date', 'users', 'main_sum',
            'main_sum_squares', 'denominator_sum', 'denominator_sum_squares', 'main_denominator_sum_product'
        ] %}
            moments.{{ column }} as {{ column }},
        {% endfor %}
        {% for column in ['metric_name', 'metric_type', 'aggregation', 'metric_role', 'is_primary'] %}
            metrics.{{ column }} as {{ column }},
        {% endfor %}
        variants.variant_name as variant_name,
        variants.is_control as is_control,
        variants.control_variant_id as control_variant_id
    from {{ ref('experiment_metric_aggregates') }} as moments
    inner join {{ ref('int_experiment_metrics') }} as metrics
        on moments.experiment_id = metrics.experiment_id and moments.metric_id = metrics.metric_id
    inner join {{ ref('int_experiment_variants') }} as variants
        on moments.experiment_id = variants.experiment_id and moments.variant_id = variants.variant_id
),

-- Mean and spread of one user's value. A ratio is one of sums, its spread that of its linear part (the delta method). The
-- differences are taken before anything is rounded.
arms as (
    select
        *,
        toDecimal256(users, 0) as n,
        toFloat64(users) * (toFloat64(users) - 1) as pairs,
        toFloat64(main_sum) / nullIf(toFloat64(if(metric_type = 'ratio', denominator_sum, users)), 0) as mean,
        toFloat64(n * main_sum_squares - main_sum * main_sum) / nullIf(pairs, 0) as main_variance,
        toFloat64(n * denominator_sum_squares - denominator_sum * denominator_sum) / nullIf(pairs, 0) as denominator_variance,
        toFloat64(n * main_denominator_sum_product - main_sum * denominator_sum) / nullIf(pairs, 0) as covariance,
        multiIf(
            metric_type = 'conversion', sqrt(mean * (1 - mean)),
            metric_type = 'ratio',
            sqrt(greatest(main_variance - 2 * mean * covariance + mean * mean * denominator_variance, 0))
            / nullIf(abs(toFloat64(denominator_sum) / users), 0),
            sqrt(main_variance)
        ) as std_dev
    from named
),

compared as (
    select
        *,
        anyIf(users, is_control) over one_comparison as control_users,
        anyIf(mean, is_control) over one_comparison as control_mean,
        anyIf(std_dev, is_control) over one_comparison as control_std_dev
    from arms
    window one_comparison as (partition by experiment_id, metric_id, dimension, dimension_value, as_of_date)
)

select
    compared.experiment_id as experiment_id,
    compared.metric_id as metric_id,
    {% for column in [
        'metric_name', 'metric_type', 'aggregation', 'metric_role', 'is_primary', 'variant_id', 'variant_name', 'is_control',
        'control_variant_id', 'dimension', 'dimension_value', 'as_of_date'
    ] %}
        compared.{{ column }} as {{ column }},
    {% endfor %}
    nullIf(estimates.computed_at, toDateTime64(0, 3, 'UTC')) as computed_at,
    estimates.engine_version as engine_version,
    compared.users as users,
    compared.control_users as control_users,
    compared.main_sum as sum,
    compared.mean as mean,
    compared.control_mean as control_mean,
    compared.std_dev as std_dev,
    compared.control_std_dev as control_std_dev,
    {% for column in estimated %}
        estimates.{{ column }} as {{ column }}{{ ',' if not loop.last }}
    {% endfor %}
from compared
left join {{ source('stats', 'experiment_estimates') }} as estimates {{ final() }}
    on
        compared.experiment_id = estimates.experiment_id and compared.metric_id = estimates.metric_id
        and compared.variant_id = estimates.variant_id and compared.dimension = estimates.dimension
        and compared.dimension_value = estimates.dimension_value and compared.as_of_date = estimates.as_of_date
