{%- set upstreams = ['int_first_exposures'] -%}

{{
    config(
        order_by=['experiment_id', 'exposure_date', 'variant_id'],
        partition_by='experiment_id',
        post_hook=[
            "{{ drop_emptied_partitions(
                'experiment_id', experiments_changed_in('int_first_exposures'), ['int_first_exposures']
            ) }}",
            "{{ commit_watermark(['int_first_exposures']) }}"
        ]
    )
}}

{%- set high = high_watermark(upstreams) %}

with

persons as (
    select
        persons.experiment_id as experiment_id,
        persons.exposure_date as exposure_date,
        persons.variant_id as variant_id,
        persons.variant_count > 1 as saw_several,
        persons.variant_id != '' and not saw_several as is_counted,
        persons.phase_number as phase_number,
        coalesce(variants.phase_shares[persons.phase_number], 0) as share
    from {{ ref('int_first_exposures') }} as persons
    left join {{ ref('int_experiment_variants') }} as variants
        on persons.experiment_id = variants.experiment_id and persons.variant_id = variants.variant_id
    where persons.experiment_id in {{ experiments_changed_in('int_first_exposures') }}
),

-- Who came in a phase to the variants that were open in it: each of these was to get its share of them.
arrivals as (
    select experiment_id, exposure_date, phase_number, countIf(is_counted and share > 0) as arrived
    from persons
    group by experiment_id, exposure_date, phase_number
),

expected as (
    select
        arrivals.experiment_id as experiment_id,
        arrivals.exposure_date as exposure_date,
        variants.variant_id as variant_id,
        sum(arrivals.arrived * variants.phase_shares[arrivals.phase_number]) as expected_users
    from arrivals
    inner join {{ ref('int_experiment_variants') }} as variants on arrivals.experiment_id = variants.experiment_id
    group by experiment_id, exposure_date, variant_id
),

came as (
    select
        experiment_id,
        exposure_date,
        variant_id,
        countIf(is_counted) as new_users,
        countIf(saw_several) as multiple_exposure_users,
        countIf(variant_id = '' and not saw_several) as unknown_variant_users,
        countIf(is_counted and share = 0) as unexpected_users,
        0 as expected_users
    from persons
    group by experiment_id, exposure_date, variant_id
),

-- Variants to which nobody came have a row as well.
together as (
    select * from came
    union all
    select experiment_id, exposure_date, variant_id, 0, 0, 0, 0, expected_users from expected
)

select
    experiment_id,
    variant_id,
    exposure_date,
    sum(new_users) as new_users,
    sum(multiple_exposure_users) as multiple_exposure_users,
    sum(unknown_variant_users) as unknown_variant_users,
    sum(unexpected_users) as unexpected_users,
    sum(expected_users) as expected_users,
    {{ high }} as refreshed_at
from together
group by experiment_id, variant_id, exposure_date
