{{
    config(
        unique_key=['subscription_id', 'event_date', 'visitor_id', 'occurred_at', 'event_id'],
        engine='ReplacingMergeTree(_version, _is_deleted)',
        order_by=['subscription_id', 'event_date', 'visitor_id', 'occurred_at', 'event_id'],
        indexes=[minmax_index('_version')],
        settings={'index_granularity': 512},
        post_hook="{{ commit_watermark(['int_events']) }}"
    )
}}

select
    if(subscription_id != '', subscription_id, visitor_id) as subscription_id,
    event_date,
    visitor_id,
    occurred_at,
    event_id,
    subscription_kind,
    plan_name,
    currency,
    -- What a cancelled subscription brought in is no price to go on with.
    multiIf(subscription_kind = 'cancelled', null, mrr_amount < 0, 0, mrr_amount) as mrr_amount,
    _version,
    _is_deleted
from {{ ref('int_events') }}
where
    subscription_kind != ''
    and _version <= {{ high_watermark(['int_events']) }}
    {% if is_incremental() %}
        and _version > {{ low_watermark() }}
    {% endif %}
