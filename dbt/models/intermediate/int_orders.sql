{{
    config(
        unique_key=['order_id', 'currency', 'order_date'],
        engine='ReplacingMergeTree(_version)',
        order_by=['order_id', 'currency', 'order_date'],
        indexes=[minmax_index('_version')],
        settings={'index_granularity': 512},
        post_hook="{{ commit_watermark(['int_events']) }}"
    )
}}

with

arrived as (
    select
        order_id,
        currency,
        min(event_date) as order_date
    from {{ ref('int_events') }}
    where
        revenue_kind = 'sale'
        and _is_deleted = 0
        and _version <= {{ high_watermark(['int_events']) }}
        {% if is_incremental() %}
            and _version > {{ low_watermark() }}
        {% endif %}
    group by order_id, currency
)

{% if is_incremental() %}
    ,

    -- The days that were the first until now are written again as well, because their figures change with the new one.
    stored as (
        select
            order_id,
            currency,
            min(order_date) as known_order_date,
            groupUniqArray(order_date) as former_dates
        from {{ this }}
        where (order_id, currency) in (select order_id, currency from arrived)
        group by order_id, currency
    ),

    first_days as (
        select
            arrived.order_id,
            arrived.currency,
            arrayJoin(arrayPushBack(coalesce(stored.former_dates, []), arrived.order_date)) as order_date
        from arrived
        left join stored on arrived.order_id = stored.order_id and arrived.currency = stored.currency
        where stored.known_order_date is null or arrived.order_date <= stored.known_order_date
    )
{% else %}
    , first_days as (select * from arrived)
{% endif %}

select
    order_id,
    currency,
    order_date,
    {{ high_watermark(['int_events']) }} as _version
from first_days
