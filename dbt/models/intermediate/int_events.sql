{%- set upstreams = ['stg_events', 'int_days_by_sender', 'int_identities'] -%}
{%- set key = 'event_date, visitor_id, occurred_at, event_id' -%}

{{
    config(
        unique_key=['event_date', 'visitor_id', 'occurred_at', 'event_id'],
        engine='ReplacingMergeTree(_version, _is_deleted)',
        order_by=['event_date', 'visitor_id', 'occurred_at', 'event_id'],
        partition_by='toYYYYMM(event_date)',
        indexes=[minmax_index('_version')],
        post_hook="{{ commit_watermark(['stg_events', 'int_days_by_sender', 'int_identities']) }}"
    )
}}

{%- set high = high_watermark(upstreams) %}
{%- set facts -%}
    event_id, event_name, event_type, user_id, anonymous_id, client_session_id, occurred_at, event_date, inserted_at, source,
    country, device_type, os_name, browser_name, page, page_host, referrer_host, utm_source, utm_medium, utm_campaign,
    utm_term, utm_content, click_id, revenue_kind, revenue_amount, tax_amount, shipping_amount, currency, order_id, product_id,
    product_name, quantity, products, subscription_kind, subscription_id, plan_name, mrr_amount
{%- endset %}

with

{% if is_incremental() %}
    replayed as ({{ replayed_visitor_days(high) }}),

    -- Days of senders that belong to another visitor now, or to a visitor that is to be computed again.
    moved as (
        {% call computed_once(['event_date', 'sender_id']) %}
            select event_date, sender_id
            from {{ ref('int_days_by_sender') }}
            where
                sender_id in (
                    select identifier
                    from {{ ref('int_identities') }}
                    where _version > {{ low_watermark() }} and _version <= {{ high }}
                )
            union distinct
            select event_date, visitor_id from replayed
            union distinct
            select replayed.event_date, identities.identifier
            from replayed
            inner join {{ ref('int_identities') }} as identities on replayed.visitor_id = identities.visitor_id
            where identities.visitor_id in (select visitor_id from replayed)
        {% endcall %}
    ),

    -- Where their events may be stored: under the sender itself or a visitor that it belongs to or has belonged to. The rows
    -- of int_identities that are marked as deleted tell the latter.
    places as (
        {% call computed_once(['event_date', 'visitor_id']) %}
            select event_date, sender_id as visitor_id from moved
            union distinct
            select moved.event_date, identities.visitor_id
            from moved
            inner join {{ ref('int_identities') }} as identities on moved.sender_id = identities.identifier
            where identities.identifier in (select sender_id from moved)
        {% endcall %}
    ),

    stored as (
        select *
        from {{ this }} {{ final() }}
        where
            (event_date, visitor_id) in (select event_date, visitor_id from places)
            and (event_date, if(user_id != '', user_id, anonymous_id)) in (select event_date, sender_id from moved)
    ),

{% endif %}

events as (
    select visitor_id as sender_id, {{ facts }}
    from {{ ref('stg_events') }}
    where
        {{ is_counted() }}
        and inserted_at <= {{ high }}
        {% if is_incremental() %}
            and inserted_at > {{ low_watermark() }}
    union all
    select visitor_id as sender_id, {{ facts }}
    from {{ ref('stg_events') }}
    where
        {{ is_counted() }}
        and inserted_at <= {{ low_watermark() }}
        and (event_date, visitor_id) in (select event_date, sender_id from moved)
        {% endif %}
),

identities as (
    select identifier, is_anonymous, visitor_id
    from {{ ref('int_identities') }} {{ final() }}
    {% if is_incremental() %}
        where identifier in (select sender_id from events)
    {% endif %}
),

fresh as (
    select coalesce(identities.visitor_id, events.sender_id) as visitor_id, {{ facts }}
    from events
    left join identities
        on events.sender_id = identities.identifier and (events.user_id = '') = identities.is_anonymous
)

select visitor_id, {{ facts }}, {{ high }} as _version, toUInt8(0) as _is_deleted
from fresh
{% if is_incremental() %}
    where ({{ key }}) not in (select {{ key }} from stored)
    union all
    select visitor_id, {{ facts }}, {{ high }}, toUInt8(1)
    from stored
    where ({{ key }}) not in (select {{ key }} from fresh)
{% endif %}
