{# Sixteen bytes for an event id of any length: narrow to store, and evenly spread. #}
{% macro event_key(event_id) -%}
    sipHash128({{ event_id }})
{%- endmacro %}
