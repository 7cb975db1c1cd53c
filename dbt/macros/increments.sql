{# Whether so much changed at once (an import, a large replay) that building all anew costs less than finding what it touches. #}
{% macro is_bulk() -%}
    {%- if not execute -%}{{ return(false) }}{%- endif -%}
    {%- set changed_share -%}
        select count() > greatest({{ var('bulk_visitor_days') }}, (select count() from {{ ref('int_visitor_days') }}) / 20)
        from {{ ref('int_visitor_days') }}
        where _version > {{ low_watermark() }}
    {%- endset -%}
    {{ return(run_query(changed_share).rows[0][0]) }}
{%- endmacro %}

{# To call around a query of an increment: its rows by way of one value. ClickHouse takes a CTE for a text and computes it at each
   mention, but a value only once. For few narrow rows that are looked at again and again; a full build reads them as they are. #}
{% macro computed_once(columns) -%}
    {%- if is_incremental() -%}
    select {% for column in columns %}found.{{ loop.index }} as {{ column }}{{ ', ' if not loop.last }}{% endfor %}
    from (select arrayJoin((select groupArray(tuple({{ columns | join(', ') }})) from ({{ caller() }}))) as found)
    {%- else -%}
    {{ caller() }}
    {%- endif -%}
{%- endmacro %}

{# The end of a query over fresh rows and, with _is_deleted set, the live stored rows in whose place they come: leaves the fresh
   rows that are new or have other content, and the stored ones that are no more. #}
{% macro qualify_changes(key, content) -%}
    window same_key as (partition by {{ key }})
    qualify count() over same_key = 1 or (_is_deleted = 0 and min({{ content }}) over same_key != max({{ content }}) over same_key)
{%- endmacro %}

{# Days of a state table that changed since this model's last run. Deleted rows count: what vanished changes a day as well. So
   do days that a replay request names, whether their rows changed or not: it mends the table that asks as well. #}
{% macro changed_days(state, day_column) -%}
    (
        select distinct {{ day_column }} from {{ ref(state) }} where _version > {{ low_watermark() }}
        {%- if model.resource_type != 'unit_test' %}
        union distinct
        select event_date from ({{ replayed_visitor_days(committed_watermark('batch_window')) }})
        {%- endif %}
    )
{%- endmacro %}

{# The same of several state tables, given as {state: its column of the day}. #}
{% macro changed_days_of(day_columns) -%}
    (
        {%- for state, day_column in day_columns.items() %}
        select {{ day_column }} as changed_date from {{ ref(state) }} where _version > {{ low_watermark() }}
        {{ 'union distinct' if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}

{# Visitors for whom a state table changed since this model's last run. #}
{% macro changed_visitors(state) -%}
    (select distinct visitor_id from {{ ref(state) }} where _version > {{ low_watermark() }})
{%- endmacro %}

{# Visitors and days on which their events or a session that began then changed since this model's last run. #}
{% macro changed_user_days() -%}
    (
        select activity_date, visitor_id from {{ ref('int_user_days') }} where _version > {{ low_watermark() }}
        union distinct
        select session_date, visitor_id from {{ ref('int_sessions') }} where _version > {{ low_watermark() }}
    )
{%- endmacro %}

{# Marts are replaced by month. The days of such a month that did not change are taken over as they are. #}
{% macro unchanged_days_of_replaced_months(day_column, days) -%}
    select *
    from {{ this }}
    where
        toYYYYMM({{ day_column }}) in (select toYYYYMM({{ day_column }}) from {{ days }})
        and {{ day_column }} not in (select {{ day_column }} from {{ days }})
{%- endmacro %}

{# Post-hook. A partition whose last row vanished has nothing to be replaced with: its days are due, but still carry the
   mark of an older run. #}
{% macro drop_emptied_partitions(day_column, days, upstreams) -%}
    {%- if execute and not should_full_refresh() -%}
        {%- set emptied -%}
            select distinct _partition_id
            from {{ this }}
            where {{ day_column }} in {{ days }} and refreshed_at < {{ high_watermark(upstreams) }}
        {%- endset -%}
        {%- for row in run_query(emptied).rows -%}
            {%- do run_query('alter table ' ~ this ~ " drop partition id '" ~ row[0] ~ "'") -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{# Visitors and days that a replay request asks for since this model's last run. #}
{% macro replayed_visitor_days(high) -%}
    select
        visitor_id,
        arrayJoin({{ dates_between('toDate(first_at)', 'toDate(last_at)') }}) as event_date
    from {{ source('ops', 'replay_requests') }}
    where requested_at > {{ low_watermark() }} and requested_at <= {{ high }}
{%- endmacro %}

{# Visitors and days on which events came or went since this model's last run, or that are to be computed again; those that may
   have lost all events are marked. #}
{% macro touched_visitor_days(high) -%}
    {% call computed_once(['visitor_id', 'event_date', 'has_lost_events']) %}
        select visitor_id, event_date, max(_is_deleted) as has_lost_events
        from {{ ref('int_events') }}
        where _version > {{ low_watermark() }} and _version <= {{ high }}
        group by visitor_id, event_date
        union all
        select visitor_id, event_date, 1 from ({{ replayed_visitor_days(high) }})
    {% endcall %}
{%- endmacro %}

{# Days of arrival to count again since this model's last run. The logs only grow, so these are the day of that run and the days
   after it; all of them after a replay request, since an erasure takes rows from any day. #}
{% macro arrival_days(high) -%}
    {%- set last_replay -%}
        (select max(requested_at) from {{ source('ops', 'replay_requests') }} where requested_at <= {{ high }})
    {%- endset -%}
    {%- set first_day -%}
        if({{ last_replay }} > {{ low_watermark() }}, toDate(0), toDate({{ low_watermark() }}))
    {%- endset -%}
    (select arrayJoin({{ dates_between(first_day, 'toDate(' ~ high ~ ')') }}) as arrival_date)
{%- endmacro %}
