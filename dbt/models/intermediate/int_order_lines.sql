{{
    config(
        unique_key=['order_id', 'currency', 'event_date', 'visitor_id', 'occurred_at', 'event_id'],
        engine='ReplacingMergeTree(_version, _is_deleted)',
        order_by=['order_id', 'currency', 'event_date', 'visitor_id', 'occurred_at', 'event_id'],
        indexes=[minmax_index('_version')],
        settings={'index_granularity': 512},
        post_hook="{{ commit_watermark(['int_events']) }}"
    )
}}

select
    order_id,
    currency,
    event_date,
    visitor_id,
    occurred_at,
    event_id,
    client_session_id,
    country,
    revenue_kind,
    if(revenue_kind = 'refund', abs(coalesce(revenue_amount, 0)), coalesce(revenue_amount, 0)) as amount,
    _version,
    _is_deleted
from {{ ref('int_events') }}
where
    revenue_kind != ''
    and _version <= {{ high_watermark(['int_events']) }}
    {% if is_incremental() %}
        and _version > {{ low_watermark() }}
    {% endif %}
