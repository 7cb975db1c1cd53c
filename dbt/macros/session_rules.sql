{# Silence after which a session of this stream is over. int_sessions looks for neighbours no further than a day away. #}
{% macro session_gap(client_session_id) -%}
    {%- if [var('session_gap_seconds'), var('client_session_gap_seconds')] | max > 86400 -%}
        {{ exceptions.raise_compiler_error('A session gap can be a day (86400 seconds) at most.') }}
    {%- endif -%}
    toIntervalSecond(if({{ client_session_id }} = '', {{ var('session_gap_seconds') }}, {{ var('client_session_gap_seconds') }}))
{%- endmacro %}

{# The slices of a stream into which its events are put: whole parts of sessions, since no two events of a slice are further
   apart than a gap. #}
{% macro session_slice() -%}
    {%- if var('session_split_on_campaign_change') -%}
        run_number, campaign_number
    {%- else -%}
        intDiv(
            toUnixTimestamp64Milli(occurred_at),
            if(
                client_session_id = '',
                {{ [var('session_gap_seconds') * 1000, 1] | max }},
                {{ [var('client_session_gap_seconds') * 1000, 1] | max }}
            )
        )
    {%- endif -%}
    {{ ', event_date' if var('session_split_at_midnight') }}
{%- endmacro %}

{# An array of slices in the order of time, cut where there is silence. Of a slice the first member is when it starts, the
   second when it ends. #}
{% macro runs_of(slices) -%}
    arraySplit(
        (slice, before) -> slice.1 > before.2 + {{ session_gap('client_session_id') }},
        {{ slices }}, {{ shifted(slices) }}
    )
{%- endmacro %}

{# The slices of a run, cut where the settings say. Campaigns are in slices of their own. #}
{% macro sessions_of(run) -%}
    {%- if var('session_split_on_campaign_change') -%}
        arraySplit(slice -> true, {{ run }})
    {%- elif var('session_split_at_midnight') -%}
        arraySplit((slice, before) -> toDate(slice.1) != toDate(before.1), {{ run }}, {{ shifted(run) }})
    {%- else -%}
        [{{ run }}]
    {%- endif -%}
{%- endmacro %}

{# To each its predecessor, to the first itself. #}
{% macro shifted(elements) -%}
    arrayPushFront(arrayPopBack({{ elements }}), {{ elements }}[1])
{%- endmacro %}

{# Texts as one, parted by the character that is made for it; in a text itself it is left out. One text is much cheaper to carry
   through an aggregation than a tuple. #}
{% macro packed(columns) -%}
    concatWithSeparator('\x1f'
    {%- for column in columns %}, replaceAll({{ column }}, '\x1f', ''){% endfor -%}
    )
{%- endmacro %}

{# The CTE `events` with run_number, which tells the runs of a stream apart. #}
{% macro runs_numbered() -%}
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

{# The CTE `events` with run_number and campaign_number, which grows within a run of events before each that names another campaign
   than the last one named in the run. What comes before the first event with a page or a referrer belongs to that event. Of
   events of the same millisecond none is cut off: sessions are told apart by their start. #}
{% macro campaigns_numbered() -%}
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
        from ({{ runs_numbered() }})
        window so_far as (
            partition by visitor_id, client_session_id, run_number order by occurred_at, event_id
            rows between unbounded preceding and 1 preceding
        )
    )
{%- endmacro %}

{# The CTEs of an increment: the visitor days that changed (`touched`), the stored sessions whose run may gain or lose an event
   (`near`), where their runs lie in time (`near_spans`), and the visitor days to read (`concerned`). `key` names the columns that
   tell sessions apart. #}
{% macro runs_near_touched_days(key) -%}
    touched as (
        {% call computed_once(['event_date', 'visitor_id']) %}
            select distinct activity_date as event_date, visitor_id
            from {{ ref('int_visitor_days') }}
            where _version > {{ low_watermark() }}
        {% endcall %}
    ),

    touched_days as (select visitor_id, groupArray(event_date) as event_dates from touched group by visitor_id),

    -- A run near a touched day ends within two days of it, or lasted for days. Its earlier parts depend on no later event.
    candidates as (
        select * from {{ this }}
        where (end_date, visitor_id) in (
            select arrayJoin({{ dates_between('event_date - 1', 'event_date + 2') }}), visitor_id from touched
        )
        union all
        select * from {{ this }}
        where length_days > 1 and visitor_id in (select visitor_id from touched)
            and end_date >= (select min(event_date) - 1 from touched)
    ),

    stored as (select * from candidates order by _version desc limit 1 by {{ key }}),

    -- Deleted rows take part: if a run died between a deletion and its replacement, this one finds those events again.
    near as (
        select stored.*
        from stored
        inner join touched_days on stored.visitor_id = touched_days.visitor_id
        where arrayExists(
            event_date -> event_date between toDate(stored.run_started_at - {{ session_gap('stored.client_session_id') }})
            and toDate(stored.run_ended_at + {{ session_gap('stored.client_session_id') }}),
            touched_days.event_dates
        )
    ),

    near_runs as (
        {% call computed_once(['visitor_id', 'client_session_id', 'run_started_at', 'run_ended_at']) %}
            select visitor_id, client_session_id, run_started_at, run_ended_at from near
        {% endcall %}
    ),

    near_spans as (
        select visitor_id, client_session_id, groupArray((run_started_at, run_ended_at)) as spans
        from near_runs
        group by visitor_id, client_session_id
    ),

    concerned as (
        select event_date, visitor_id from touched
        union distinct
        select arrayJoin({{ dates_between('toDate(run_started_at)', 'toDate(run_ended_at)') }}) as event_date, visitor_id
        from near_runs
    )
{%- endmacro %}
