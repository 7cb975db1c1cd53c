{{
    config(
        unique_key=['visitor_id', 'first_date'],
        engine='ReplacingMergeTree()',
        order_by=['visitor_id', 'first_date'],
        settings={'index_granularity': 512},
        post_hook="{{ commit_watermark(['stg_events']) }}"
    )
}}

with

arrived as (
    select
        visitor_id,
        min(event_date) as first_date
    from {{ ref('stg_events') }}
    where
        inserted_at <= {{ high_watermark(['stg_events']) }}
        {% if is_incremental() %}
            and inserted_at > {{ low_watermark() }}
        {% endif %}
    group by visitor_id
)

select
    visitor_id,
    first_date
from arrived
{% if is_incremental() %}
    where
        -- Nothing is stored on or before that day: an unknown visitor, or a first day that moves back.
        visitor_id not in (
            select stored.visitor_id
            from {{ this }} as stored
            inner join arrived on stored.visitor_id = arrived.visitor_id
            where
                stored.visitor_id in (select visitor_id from arrived)
                and stored.first_date <= arrived.first_date
        )
{% endif %}
