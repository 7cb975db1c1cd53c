{# Silence after which a session of this stream is over. int_sessions looks for neighbours no further than a day away. #}
{% macro session_gap(client_session_id) -%}
    {%- if [var('session_gap_seconds'), var('client_session_gap_seconds')] | max > 86400 -%}
        {{ exceptions.raise_compiler_error('A session gap can be a day (86400 seconds) at most.') }}
    {%- endif -%}
    toIntervalSecond(if({{ client_session_id }} = '', {{ var('session_gap_seconds') }}, {{ var('client_session_gap_seconds') }}))
{%- endmacro %}

{# The CTE `events` with run_number, which tells the runs of a stream apart. It sorts whole rows: for few of them. #}
{% macro runs_numbered_by_window() -%}
    {%- set in_stream -%}
        partition by visitor_id, client_session_id order by occurred_at, event_id
        rows between unbounded preceding and current row
    {%- endset -%}
    select *, sum(is_run_start) over ({{ in_stream }}) as run_number
    from (
        select *, occurred_at > lagInFrame(occurred_at, 1, occurred_at) over ({{ in_stream }})
        + {{ session_gap('client_session_id') }} as is_run_start
        from events
    )
{%- endmacro %}

{# The same for all events there are: only their times are sorted, and each looks up the start of its run in run_starts. #}
{% macro runs_numbered_by_start() -%}
    select events.*, run_starts.started_at as run_number
    from events
    asof join run_starts
        on
            events.visitor_id = run_starts.visitor_id
            and events.client_session_id = run_starts.client_session_id
            and events.occurred_at >= run_starts.started_at
{%- endmacro %}

{# The starts of the runs of each stream in the CTE `moments`. Before the first there was nothing for longer than any gap. #}
{% macro run_starts() -%}
    select
        visitor_id,
        client_session_id,
        arrayJoin(arrayFilter(
            (moment, before) -> moment > before + {{ session_gap('client_session_id') }},
            moments, arrayPushFront(arrayPopBack(moments), moments[1] - toIntervalDay(2))
        )) as started_at
    from moments
{%- endmacro %}

{# The events of the query with campaign_number, which grows within a run of events before each that names another campaign
   than the last one named in the run. What comes before the first event with a page or a referrer belongs to that event. Of
   events of the same millisecond none is cut off: sessions are told apart by their start. #}
{% macro campaigns_numbered(runs) -%}
    select
        *,
        sum(is_other_campaign) over (
            partition by visitor_id, client_session_id, run_number order by occurred_at, event_id
            rows between unbounded preceding and current row
        ) as campaign_number
    from (
        select
            *,
            concatWithSeparator('\n', utm_source, utm_medium, utm_campaign, click_id) as campaign,
            campaign != '\n\n\n'
            and campaign != anyLastIf(campaign, campaign != '\n\n\n') over so_far
            and countIf(concat(campaign, page, referrer_host) != '\n\n\n') over so_far > 0
            and occurred_at > max(occurred_at) over so_far as is_other_campaign
        from ({{ runs }})
        window so_far as (
            partition by visitor_id, client_session_id, run_number order by occurred_at, event_id
            rows between unbounded preceding and 1 preceding
        )
    )
{%- endmacro %}
