{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        unique_key=['event_key'],
        engine='AggregatingMergeTree()',
        order_by='event_key',
        settings={'index_granularity': 256},
        post_hook="{{ commit_watermark(['batch_window']) }}"
    )
}}

select
    {{ event_key('event_id') }} as event_key,
    minSimpleState(inserted_at) as first_inserted_at
from {{ source('raw', 'events') }}
where
    inserted_at <= {{ high_watermark(['batch_window']) }}
    {% if is_incremental() %}
        and inserted_at > {{ low_watermark() }}
    {% endif %}
group by event_key
