{{
    config(
        unique_key=['linked_id', 'is_alias', 'user_id'],
        engine='ReplacingMergeTree(_version)',
        order_by=['linked_id', 'is_alias', 'user_id'],
        indexes=[minmax_index('_version'), bloom_index('user_id')],
        settings={'index_granularity': 512},
        post_hook="{{ commit_watermark(['stg_events']) }}"
    )
}}

with

seen as (
    {% call computed_once(['linked_id', 'is_alias', 'user_id', 'linked_at']) %}
        select
            link.1 as linked_id,
            link.2 as is_alias,
            user_id,
            min(occurred_at) as linked_at
        from {{ ref('stg_events') }}
        array join [(anonymous_id, false), (previous_id, true)] as link
        where
            {{ is_counted() }}
            and linked_id != user_id
            and {{ is_personal('linked_id') }}
            and {{ is_personal('user_id') }}
            and inserted_at <= {{ high_watermark(['stg_events']) }}
            {% if is_incremental() %}
                and inserted_at > {{ low_watermark() }}
            {% endif %}
        group by linked_id, is_alias, user_id
    {% endcall %}
)

select
    linked_id,
    toBool(is_alias) as is_alias,
    user_id,
    linked_at as first_linked_at,
    {{ high_watermark(['stg_events']) }} as _version
from seen
{% if is_incremental() %}
    where
        -- Nearly every event of a known user names a link that is stored already.
        (linked_id, is_alias, user_id) not in (
            select stored.linked_id, stored.is_alias, stored.user_id
            from {{ this }} as stored
            inner join seen
                on stored.linked_id = seen.linked_id and stored.is_alias = seen.is_alias and stored.user_id = seen.user_id
            where
                (stored.linked_id, stored.is_alias, stored.user_id) in (select linked_id, is_alias, user_id from seen)
                and stored.first_linked_at <= seen.linked_at
        )
{% endif %}
