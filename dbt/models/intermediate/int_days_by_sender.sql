{{
    config(
        unique_key=['sender_id', 'event_date'],
        engine='ReplacingMergeTree()',
        order_by=['sender_id', 'event_date'],
        settings={'index_granularity': 512},
        post_hook="{{ commit_watermark(['stg_events']) }}"
    )
}}

select distinct
    visitor_id as sender_id,
    event_date
from {{ ref('stg_events') }}
where
    {{ is_counted() }}
    and inserted_at <= {{ high_watermark(['stg_events']) }}
    {% if is_incremental() %}
        and inserted_at > {{ low_watermark() }}
    {% endif %}
