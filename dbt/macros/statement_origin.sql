{# The comment before each statement (query-comment in dbt_project.yml): what sent it. Dagster sets the variable. #}
{% macro statement_origin(node) -%}
    {{- tojson({
        'app': 'dbt',
        'environment': target.schema,
        'run_by': 'dagster' if env_var('DAGSTER_DBT_CLI', '') else 'hand',
        'invocation_id': invocation_id,
        'node_id': node.unique_id if node else '',
    }) -}}
{%- endmacro %}
