{%- set upstreams = ['int_events', 'stg_events'] -%}
{%- set key_names = ['experimentKey', 'experiment_id', 'experimentId', 'experiment_key', 'experiment'] -%}
{%- set variant_names = [
    'variant', 'variant_id', 'variantId', 'variation', 'variation_id', 'variationId', 'variation_key'
] -%}
{%- set flag_variant_names = ['$feature_flag_variant', '$feature_flag_response'] -%}
{%- set flag_names = ['$feature_flag_experiment', '$feature_flag'] -%}

{{
    config(
        order_by=['experiment_id', 'visitor_id'],
        partition_by='experiment_id',
        post_hook=[
            "{{ drop_emptied_partitions('experiment_id', experiments_due(), ['int_events', 'stg_events']) }}",
            "{{ commit_watermark(['int_events', 'stg_events']) }}"
        ]
    )
}}

{%- set high = high_watermark(upstreams) %}
{%- set in_time -%}
    event_date between (select toDate(min(started_at)) from experiments) and (select max(last_event_date) from experiments)
{%- endset %}

with

experiments as (
    select * from {{ ref('int_experiments') }} where experiment_id in {{ experiments_due() }}
),

-- Under which names exposures speak of them.
names as (
    select experiment_id, 'experiment' as kind, experiment_id as name from experiments
    union all
    select experiment_id, 'flag', flag_key from experiments where flag_key != ''
),

counted as (
    select event_id, event_name, visitor_id, occurred_at, country, device_type, os_name, browser_name, source
    from {{ ref('int_events') }} {{ final() }}
    where
        event_name in ({{ quoted(var('exposure_events') + var('flag_exposure_events')) }})
        and {{ in_time }}
        and _version <= {{ high }}
),

staged as (
    select event_id, {{ properties_as_text(key_names + variant_names + flag_names + flag_variant_names) }} as known
    from {{ ref('stg_events') }} {{ final() }}
    where
        event_name in ({{ quoted(var('exposure_events') + var('flag_exposure_events')) }})
        and {{ in_time }}
),

claims as (
    select
        counted.*,
        counted.event_name in ({{ quoted(var('flag_exposure_events')) }}) as is_of_flag,
        if(is_of_flag, {{ first_property(flag_variant_names) }}, {{ first_property(variant_names) }}) as named_variant,
        arrayJoin(if(
            is_of_flag,
            [
                ('experiment', known.`$feature_flag_experiment`),
                ('experiment', known.`$feature_flag`),
                ('flag', known.`$feature_flag`)
            ],
            [('experiment', {{ first_property(key_names) }})]
        )) as claim
    from counted
    inner join staged on counted.event_id = staged.event_id
),

exposures as (
    select
        names.experiment_id as experiment_id,
        claims.visitor_id as visitor_id,
        (claims.occurred_at, claims.event_id) as moment,
        claims.named_variant as named_variant,
        (claims.country, claims.device_type, claims.os_name, claims.browser_name, claims.source) as attributes
    from claims
    inner join names on claims.claim.1 = names.kind and claims.claim.2 = names.name
    -- A flag that is off, or has nothing for this person, shows no variant.
    where not (claims.is_of_flag and claims.named_variant in ('', 'false'))
),

-- A variant goes by its id, or by its place in the list. What is neither is unknown: empty here.
resolved as (
    select
        exposures.*,
        multiIf(
            has(experiments.variant_ids, exposures.named_variant), exposures.named_variant,
            match(exposures.named_variant, '^[0-9]{1,4}$'),
            experiments.variant_ids[toUInt32OrZero(exposures.named_variant) + 1],
            ''
        ) as variant_id
    from exposures
    inner join experiments on exposures.experiment_id = experiments.experiment_id
    where
        exposures.moment.1 >= experiments.started_at
        and (experiments.ended_at is null or exposures.moment.1 < experiments.ended_at)
),

by_variant as (
    select
        experiment_id,
        visitor_id,
        variant_id,
        min(moment) as first_moment,
        argMin(attributes, moment) as attributes
    from resolved
    -- Two names that are unknown are two variants.
    group by experiment_id, visitor_id, variant_id, if(variant_id = '', named_variant, '')
),

persons as (
    select
        experiment_id,
        visitor_id,
        arraySort(groupArray((first_moment, variant_id, attributes))) as seen
    from by_variant
    group by experiment_id, visitor_id
)

select
    persons.experiment_id as experiment_id,
    persons.visitor_id as visitor_id,
    persons.seen[1].2 as variant_id,
    persons.seen[1].1.1 as first_exposed_at,
    toDate(persons.seen[1].1.1) as exposure_date,
    persons.seen[1].1.2 as event_id,
    toUInt16(length(persons.seen)) as variant_count,
    if(length(persons.seen) > 1, toDate(persons.seen[2].1.1), null) as second_variant_date,
    toUInt16(greatest(arrayCount(start -> start <= persons.seen[1].1.1, experiments.phase_starts), 1)) as phase_number,
    {% for column in ['country', 'device_type', 'os_name', 'browser_name', 'source'] %}
        toLowCardinality(persons.seen[1].3.{{ loop.index }}) as {{ column }},
    {% endfor %}
    experiments.definition_version as definition_version,
    {{ high }} as refreshed_at
from persons
inner join experiments on persons.experiment_id = experiments.experiment_id
