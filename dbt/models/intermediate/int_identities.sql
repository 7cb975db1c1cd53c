{{
    config(
        unique_key=['identifier', 'is_anonymous', 'visitor_id'],
        engine='ReplacingMergeTree(_version, _is_deleted)',
        order_by=['identifier', 'is_anonymous', 'visitor_id'],
        indexes=[minmax_index('_version'), bloom_index('visitor_id')],
        settings={'index_granularity': 512},
        post_hook="{{ commit_watermark(['int_identity_links']) }}"
    )
}}

{%- set high = high_watermark(['int_identity_links']) %}
{%- set longest_chain = 16 %}

with recursive

{% if is_incremental() %}
    replayed as ({{ replayed_visitor_days(high) }}),

    changed as (
        select linked_id as identifier
        from {{ ref('int_identity_links') }}
        where _version > {{ low_watermark() }} and _version <= {{ high }}
        union distinct
        select visitor_id from replayed
        union distinct
        select identifier from {{ this }} where visitor_id in (select visitor_id from replayed)
    ),

    -- With a user id, all that leads to it changes: its devices, the ids it had before, their devices.
    affected as (
        select identifier, 0 as distance from changed
        union all
        select distinct links.linked_id as identifier, affected.distance + 1 as distance
        from {{ ref('int_identity_links') }} as links
        inner join affected on links.user_id = affected.identifier
        where links.user_id in (select identifier from affected) and affected.distance < {{ longest_chain }}
    ),

{% endif %}

first_links as (
    select linked_id, argMin(user_id, (first_linked_at, user_id)) as first_user_id
    from {{ ref('int_identity_links') }}
    {% if is_incremental() %}
        where linked_id in (select identifier from affected)
    {% endif %}
    group by linked_id
),

-- From each id along the aliases. As a user id it stands for itself at first, as an anonymous id for its first user.
walks as (
    select
        linked_id as identifier,
        start.1 as is_anonymous,
        start.2 as reached_id,
        cast([], 'Array(Tuple(DateTime64(3, ''UTC''), String))') as passed
    from first_links
    array join [(false, linked_id), (true, first_user_id)] as start
    union all
    select
        walks.identifier as identifier,
        walks.is_anonymous as is_anonymous,
        argMin(links.user_id, (links.first_linked_at, links.user_id)) as reached_id,
        arrayPushBack(walks.passed, (min(links.first_linked_at), walks.reached_id)) as passed
    from walks
    inner join {{ ref('int_identity_links') }} as links on walks.reached_id = links.linked_id
    where
        links.is_alias
        and links.linked_id in (select reached_id from walks)
        and length(walks.passed) < {{ longest_chain }}
        and not has(walks.passed.2, walks.reached_id)
    group by walks.identifier, walks.is_anonymous, walks.reached_id, walks.passed
),

ends as (
    select
        identifier,
        is_anonymous,
        argMax(reached_id, length(passed)) as last_id,
        argMax(passed, length(passed)) as path,
        indexOf(path.2, last_id) as circle_begins_at,
        -- The alias that closed a circle has no effect: it ends where that alias, its latest one, began.
        if(circle_begins_at = 0, last_id, arraySort(arraySlice(path, circle_begins_at))[-1].2) as visitor_id
    from walks
    group by identifier, is_anonymous
),

fresh as (
    select identifier, is_anonymous, visitor_id
    from ends
    where visitor_id != identifier
)

select
    identifier,
    toBool(is_anonymous) as is_anonymous,
    visitor_id,
    {{ high }} as _version,
    toUInt8(0) as _is_deleted
from fresh
{% if is_incremental() %}
    where (identifier, is_anonymous, visitor_id) not in (
        select identifier, is_anonymous, visitor_id
        from {{ this }} {{ final() }}
        where identifier in (select identifier from affected)
    )
    union all
    select
        identifier,
        is_anonymous,
        visitor_id,
        {{ high }},
        toUInt8(1)
    from {{ this }} {{ final() }}
    where
        identifier in (select identifier from affected)
        and (identifier, is_anonymous, visitor_id) not in (select identifier, is_anonymous, visitor_id from fresh)
{% endif %}
