{# A skip index for a column that grows along the sorting key. #}
{% macro minmax_index(column) -%}
    {{ return({'name': 'by_' ~ column.lstrip('_'), 'definition': column ~ ' type minmax granularity 1'}) }}
{%- endmacro %}
