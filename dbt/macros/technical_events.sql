{# CTEs up to `events`: those of some names under their visitors, with the text of their properties, which staging alone keeps.
   An increment reads those of its `days`. #}
{% macro events_with_properties(event_names, high) -%}
    counted as (
        select * from {{ ref('int_events') }} {{ final() }}
        where
            event_name in ({{ quoted(event_names) }})
            and _version <= {{ high }}
            {{ 'and event_date in (select event_date from days)' if is_incremental() }}
    ),

    staged as (
        select event_id, properties from {{ ref('stg_events') }} {{ final() }}
        where
            event_name in ({{ quoted(event_names) }})
            {{ 'and event_date in (select event_date from days)' if is_incremental() }}
    ),

    events as (
        select
            counted.event_id as event_id,
            counted.event_date as event_date,
            counted.occurred_at as occurred_at,
            counted.visitor_id as visitor_id,
            counted.page as page,
            counted.device_type as device_type,
            staged.properties as properties
        from counted
        inner join staged on counted.event_id = staged.event_id
    )
{%- endmacro %}

{# Some properties by their names, as text. #}
{% macro properties_as_text(names) -%}
    JSONExtract(properties, 'Tuple({% for name in names %}`{{ name }}` String{{ ', ' if not loop.last }}{% endfor %})')
{%- endmacro %}

{# The first of these properties that is not empty; `known` holds what properties_as_text has read. #}
{% macro first_property(names) -%}
    coalesce({% for name in names %}nullIf(known.`{{ name }}`, ''), {% endfor %}'')
{%- endmacro %}
