{# Hook at the end of a dbt command: stores the results of its data tests, which data_health_tests shows. Skipped tests have
   none. A test in a file of its own names its table in meta, for Dagster as well. #}
{% macro record_test_results(results) -%}
    {%- if execute -%}
        {%- set rows = [] -%}
        {%- for result in results if result.node.resource_type == 'test' and result.status != 'skipped' -%}
            {%- set test = result.node -%}
            {%- set about = test.attached_node or 'model.' ~ project_name ~ '.' ~ test.config.meta.dagster.ref.name -%}
            {%- set table = graph.nodes[about] if about in graph.nodes else graph.sources[about] -%}
            {%- set values = quoted([
                test.name, table.schema | replace(target.schema ~ '_', ''), table.name, test.config.severity | lower,
                result.status ~ '', '' if result.status == 'pass' else (result.message or '')[:1000], invocation_id
            ]) -%}
            {%- do rows.append('(' ~ values ~ ', ' ~ (result.failures or 0) ~ ')') -%}
        {%- endfor -%}
        {%- if rows -%}
            insert into {{ source('ops', 'test_results') }}
            (test_name, layer, table_name, severity, status, message, invocation_id, failure_count)
            values {{ rows | join(', ') }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
