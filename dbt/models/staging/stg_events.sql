{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        unique_key=['event_date', 'visitor_id', 'occurred_at', 'event_id'],
        engine='ReplacingMergeTree()',
        order_by=['event_date', 'visitor_id', 'occurred_at', 'event_id'],
        partition_by='toYYYYMM(event_date)',
        indexes=[minmax_index('inserted_at')],
        post_hook="{{ commit_watermark(['batch_window', 'stg_event_arrivals']) }}"
    )
}}

with

arrived as (
    select *
    from {{ source('raw', 'events') }}
    where
        inserted_at <= {{ high_watermark(['batch_window', 'stg_event_arrivals']) }}
        {% if is_incremental() %}
            and inserted_at > {{ low_watermark() }}
        {% endif %}
),

repeated as (select event_id from arrived group by event_id having count() > 1),

-- The first arrival of an event id wins. Among the rows of one insert the order is arbitrary but always the same.
firsts_of_batch as (
    select * from arrived where event_id not in (select event_id from repeated)
    union all
    (
        select * from arrived where event_id in (select event_id from repeated)
        order by
            inserted_at, received_at, occurred_at,
            sipHash64(event_name, event_type, user_id, anonymous_id, session_id, source, properties, context),
            sipHash64(clock_skew_ms, warnings, country, device_type, os_name, browser_name, is_bot)
        limit 1 by event_id
    )
),

firsts as (
    select * from firsts_of_batch
    {% if is_incremental() %}
        where
            {{ event_key('event_id') }} not in (
                select event_key
                from {{ ref('stg_event_arrivals') }}
                where
                    event_key in (select {{ event_key('event_id') }} from arrived)
                    and first_inserted_at <= {{ low_watermark() }}
            )
    {% endif %}
),

-- A name of a tuple's element is the name of the member it is read from.
extracted as (
    select
        *,
        JSONExtract(properties, '{{ known_properties() }}') as known,
        JSONExtract(context, '{{ known_context() }}') as surroundings,
        {{ first_text(['known.page', 'known.path', 'known.`$pathname`', 'known.url', 'known.`$current_url`',
            'known.page_location', 'surroundings.page.path', 'surroundings.page.url']) }} as location,
        {{ first_text(['known.url', 'known.`$current_url`', 'known.page_location', 'surroundings.page.url', 'location']) }}
            as address,
        {{ host(first_text(['known.referrer', 'known.`$referrer`', 'known.page_referrer', 'surroundings.page.referrer'])) }}
            as referrer,
        {{ host('address') }} as page_host,
        -- A program that is no browser speaks for others: what it says about them counts more than what it is itself.
        device_type in ('', 'other') as is_program,
        -- As text and to the last digit. No row without the word pays for the search.
        {% for name in ['revenue', 'tax', 'shipping', 'quantity'] %}
            if(position(properties, '{{ name }}') = 0, '', {{ exact_text('properties', name) }}) as {{ name }}_text,
        {% endfor %}
        {{ event_kind({'sale': var('sale_events'), 'refund': var('refund_events')}) }} as kind,
        {{ event_kind(var('subscription_events')) }} as subscription,
        JSONExtract(if(kind = '', '', properties), '{{ known_products() }}') as listed,
        if(subscription = '', '', properties) as terms_text,
        JSONExtract(terms_text, '{{ known_terms() }}') as terms,
        -- No clock is right before 1971 or a day ahead of the arrival: such an event counts when it was received.
        if(
            occurred_at between toDateTime64('1971-01-01 00:00:00', 3, 'UTC') and received_at + toIntervalDay(1),
            occurred_at, received_at
        ) as event_time
    from firsts
)

select
    event_id,
    event_name,
    event_type,
    if(user_id != '', user_id, anonymous_id) as visitor_id,
    user_id,
    anonymous_id,
    if(event_name in ({{ quoted(var('alias_events')) }}), {{ first_text(['known.previousId', 'known.previous_id', 'known.alias',
        'known.`$anon_distinct_id`']) }}, '') as previous_id,
    session_id as client_session_id,
    event_time as occurred_at,
    toDate(event_time) as event_date,
    received_at,
    inserted_at,
    clock_skew_ms,
    warnings,
    source,
    is_bot,
    {% for column, said in {
        'country': first_text(['surroundings.country', 'surroundings.location.country']),
        'device_type': said_by('surroundings.device', 'type'),
        'os_name': said_by('surroundings.os', 'name'),
        'browser_name': said_by('surroundings.browser', 'name'),
    }.items() %}
        toLowCardinality(
            if(is_program or {{ column }} = '', {{ first_text([said, 'toString(' ~ column ~ ')']) }}, {{ column }})
        ) as {{ column }},
    {% endfor %}
    if(position(location, '://') > 0, path(location), cutQueryStringAndFragment(location)) as page,
    toLowCardinality(page_host) as page_host,
    toLowCardinality(if({{ same_site('referrer', 'page_host') }}, '', referrer)) as referrer_host,
    {% for part, member in {
        'source': 'source', 'medium': 'medium', 'campaign': 'name', 'term': 'term', 'content': 'content'
    }.items() %}
        toLowCardinality({{ first_text(
            ['known.utm_' ~ part, 'known.utm' ~ part | capitalize, 'surroundings.campaign.' ~ member,
            url_parameter('address', 'utm_' ~ part)]
        ) }}) as utm_{{ part }},
    {% endfor %}
    toLowCardinality({{ click_id('address', 'properties') }}) as click_id,
    toLowCardinality(kind) as revenue_kind,
    {{ decimal_amount('revenue_text') }} as revenue_amount,
    {{ decimal_amount('tax_text') }} as tax_amount,
    {{ decimal_amount('shipping_text') }} as shipping_amount,
    toLowCardinality(
        multiIf(
            kind = '' and subscription = '', '', known.currency != '', upper(trimBoth(known.currency)),
            kind != '', '{{ var('default_currency') }}', ''
        )
    ) as currency,
    if(kind != '' and known.order_id = '', event_id, known.order_id) as order_id,
    {{ first_text(['known.product_id', 'known.productId', 'known.item_id', 'known.sku']) }} as product_id,
    {{ first_text(['known.product_name', 'known.productName', 'known.item_name']) }} as product_name,
    {{ decimal_amount('quantity_text') }} as quantity,
    {{ order_products('listed') }} as products,
    toLowCardinality(subscription) as subscription_kind,
    {{ first_text(['terms.subscription_id', 'terms.subscriptionId']) }} as subscription_id,
    toLowCardinality({{ said_by(first_text(['terms.plan_name', 'terms.planName', 'terms.plan', 'terms.plan_id']), 'name') }})
        as plan_name,
    if(subscription = '', null, {{ stated_mrr('terms_text', 'terms', 'revenue_text') }}) as mrr_amount,
    properties,
    context
from extracted
