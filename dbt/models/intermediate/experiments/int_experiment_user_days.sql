{%- set upstreams = ['int_events', 'stg_events', 'int_first_exposures'] -%}

{{
    config(
        order_by=['experiment_id', 'metric_id', 'visitor_id', 'activity_date'],
        partition_by='experiment_id',
        post_hook=[
            "{{ drop_emptied_partitions(
                'experiment_id', experiments_changed_in('int_first_exposures'),
                ['int_events', 'stg_events', 'int_first_exposures']
            ) }}",
            "{{ commit_watermark(['int_events', 'stg_events', 'int_first_exposures']) }}"
        ]
    )
}}

{%- set high = high_watermark(upstreams) %}
{%- set in_time -%}
    event_date between (select min(first_event_date) from experiments) and (select max(last_event_date) from experiments)
{%- endset %}

with

experiments as (
    select *
    from {{ ref('int_experiments') }}
    where experiment_id in {{ experiments_changed_in('int_first_exposures') }}
),

-- Who counts, and until which day: whoever sees a second variant leaves.
persons as (
    select *, coalesce(second_variant_date, {{ end_of_time() }}) as leaves_on
    from {{ ref('int_first_exposures') }}
    where experiment_id in (select experiment_id from experiments) and variant_id != '' and leaves_on > exposure_date
),

metrics as (
    select metrics.*, experiments.ended_at as ended_at
    from {{ ref('int_experiment_metrics') }} as metrics
    inner join experiments on metrics.experiment_id = experiments.experiment_id
),

-- What each metric sums up: events of a name, or a number that they carry.
parts as (
    select *, false as is_denominator, event_name as name, property as number_name
    from metrics
    union all
    select *, true, denominator_event_name, denominator_property
    from metrics
    where metric_type = 'ratio'
),

events as (
    select event_id, event_name, event_date, visitor_id, occurred_at, revenue_amount, currency
    from {{ ref('int_events') }} {{ final() }}
    where
        event_name in (select name from parts)
        and {{ in_time }}
        and visitor_id in (select visitor_id from persons)
        and _version <= {{ high }}
),

staged as (
    select event_id, properties
    from {{ ref('stg_events') }} {{ final() }}
    where event_name in (select name from parts where number_name != '') and {{ in_time }}
),

priced as (
    select
        events.*,
        staged.properties as properties,
        -- Without a rate an amount counts as it is.
        coalesce(
            {{ in_reporting_currency('events.revenue_amount', 'events.currency', 'rates.rate') }}, events.revenue_amount
        ) as amount
    from events
    left join staged on events.event_id = staged.event_id
    asof left join {{ ref('currency_rates') }} as rates
        on events.currency = rates.currency and events.event_date >= rates.valid_from
),

deeds as (
    select
        parts.experiment_id as experiment_id,
        parts.metric_id as metric_id,
        parts.is_denominator as is_denominator,
        persons.visitor_id as visitor_id,
        priced.occurred_at < persons.first_exposed_at as is_before,
        if(is_before, persons.exposure_date, priced.event_date) as activity_date,
        multiIf(
            parts.is_staged_revenue and not parts.is_denominator, toDecimal128(priced.amount, 9),
            parts.number_name = '', toDecimal128(1, 9),
            {{ exact_number('coalesce(priced.properties, \'\')', 'parts.number_name') }}
        ) as amount
    from priced
    inner join persons on priced.visitor_id = persons.visitor_id
    inner join parts on persons.experiment_id = parts.experiment_id and priced.event_name = parts.name
    where
        if(
            priced.occurred_at < persons.first_exposed_at,
            priced.occurred_at >= persons.first_exposed_at - toIntervalSecond(toUInt64(86400 * parts.covariate_days)),
            (parts.ended_at is null or priced.occurred_at < parts.ended_at)
            and (
                parts.window_hours is null
                or priced.occurred_at <= persons.first_exposed_at + toIntervalMillisecond(toUInt64(3600000 * parts.window_hours))
            )
        )
),

-- Who did nothing did 0, from the first exposure on.
amounts as (
    select
        experiment_id,
        metric_id,
        visitor_id,
        activity_date,
        if(is_before or is_denominator, 0, assumeNotNull(amount)) as main_amount,
        if(is_before or not is_denominator, 0, assumeNotNull(amount)) as denominator_amount,
        if(is_before and not is_denominator, assumeNotNull(amount), 0) as covariate_amount
    from deeds
    where amount is not null
    union all
    select persons.experiment_id, metrics.metric_id, persons.visitor_id, persons.exposure_date, 0, 0, 0
    from persons
    inner join metrics on persons.experiment_id = metrics.experiment_id
)

select
    experiment_id,
    metric_id,
    visitor_id,
    activity_date,
    sum(main_amount) as main_amount,
    sum(denominator_amount) as denominator_amount,
    sum(covariate_amount) as covariate_amount,
    {{ high }} as refreshed_at
from amounts
group by experiment_id, metric_id, visitor_id, activity_date
