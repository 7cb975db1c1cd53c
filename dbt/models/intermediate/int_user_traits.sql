{{
    config(
        tags=['hourly'],
        unique_key=['visitor_id', 'trait', 'activity_date'],
        engine='ReplacingMergeTree(_version, _is_deleted)',
        order_by=['visitor_id', 'trait', 'activity_date'],
        indexes=[minmax_index('_version')],
        settings={'index_granularity': 512},
        post_hook="{{ commit_watermark(['int_events', 'int_visitor_days']) }}"
    )
}}

{%- set high = high_watermark(['int_events', 'int_visitor_days']) %}

with

{% if is_incremental() %}
    touched as (
        select activity_date, visitor_id
        from {{ ref('int_visitor_days') }}
        where _version > {{ low_watermark() }} and _version <= {{ high }}
    ),

{% endif %}

told as (
    select
        visitor_id,
        event_date,
        occurred_at,
        event_id,
        if(user_id != '', user_id, anonymous_id) as sender_id
    from {{ ref('int_events') }} {{ final() }}
    where
        _version <= {{ high }}
        and event_name in ({{ quoted(var('trait_events')) }})
        {% if is_incremental() %}
            and (event_date, visitor_id) in (select activity_date, visitor_id from touched)
        {% endif %}
),

texts as (
    select
        event_id,
        multiIf(
            JSONHas(properties, '$set'), JSONExtractRaw(properties, '$set'),
            JSONHas(properties, 'traits'), JSONExtractRaw(properties, 'traits'),
            properties
        ) as traits
    from {{ ref('stg_events') }}
    where
        event_name in ({{ quoted(var('trait_events')) }})
        and (event_date, visitor_id) in (select event_date, sender_id from told)
),

members as (
    select
        told.visitor_id as visitor_id,
        told.event_date as activity_date,
        (told.occurred_at, told.event_id) as told_at,
        arrayJoin(JSONExtractKeysAndValuesRaw(texts.traits)) as member
    from told
    inner join texts on told.event_id = texts.event_id
),

latest as (
    select
        visitor_id,
        member.1 as trait,
        activity_date,
        argMax(member.2, told_at) as value
    from members
    where trait != '' and not startsWith(trait, '$')
    group by visitor_id, trait, activity_date
)

select
    visitor_id,
    trait,
    activity_date,
    value,
    {{ high }} as _version,
    toUInt8(0) as _is_deleted
from latest
{% if is_incremental() %}
    union all
    select
        visitor_id,
        trait,
        activity_date,
        '',
        {{ high }},
        toUInt8(1)
    from {{ this }} {{ final() }}
    where
        (visitor_id, activity_date) in (select visitor_id, activity_date from touched)
        and (visitor_id, trait, activity_date) not in (select visitor_id, trait, activity_date from latest)
{% endif %}
