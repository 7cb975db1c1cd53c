{# A skip index for a column that grows along the sorting key. #}
{% macro minmax_index(column) -%}
    {{ return({'name': 'by_' ~ column.lstrip('_'), 'definition': column ~ ' type minmax granularity 1'}) }}
{%- endmacro %}

{# A skip index for the few rows with some values of a column that the sorting key does not lead to. #}
{% macro bloom_index(column) -%}
    {{ return({'name': 'by_' ~ column, 'definition': column ~ ' type bloom_filter granularity 1'}) }}
{%- endmacro %}
