{{
    config(
        order_by=['session_date', 'visitor_id', 'started_at'],
        partition_by='session_date',
        post_hook=[
            "{{ drop_emptied_partitions('session_date', changed_days('int_sessions', 'session_date'), ['int_sessions']) }}",
            "{{ commit_watermark(['int_sessions']) }}"
        ]
    )
}}

select
    session_id,
    visitor_id,
    user_id,
    client_session_id,
    session_date,
    started_at,
    ended_at,
    dateDiff('millisecond', started_at, ended_at) / 1000 as duration_seconds,
    event_count,
    page_view_count,
    toBool(event_count = 1) as is_bounce,
    entry_page,
    exit_page,
    order_count,
    revenue_amount,
    currency,
    source,
    {{ high_watermark(['int_sessions']) }} as refreshed_at
from {{ ref('int_sessions') }} {{ final() }}
{% if is_incremental() %}
    where
        session_date in {{ changed_days('int_sessions', 'session_date') }}
        -- A session ends on the day it starts or later: spares the older partitions.
        and end_date >= (select min(session_date) from {{ changed_days('int_sessions', 'session_date') }})
{% endif %}
