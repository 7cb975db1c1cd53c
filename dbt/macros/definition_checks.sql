{# Before each increment dbt asks ClickHouse for the columns of the statement, to hold them against the table and against the
   contract. It costs as much as planning the increment, and the answer is the same until a definition changes. So an
   increment whose definition has built the table before is not asked again. Everything else is, as dbt does it. #}

{# Overrides dbt's own: what is to happen when the columns of the statement are not those of the table. #}
{% macro incremental_validate_on_schema_change(on_schema_change, default='ignore') -%}
    {{ return('ignore' if is_checked() else dbt.incremental_validate_on_schema_change(on_schema_change, default)) }}
{%- endmacro %}

{# Overrides the adapter's: raises an error unless the columns of the statement are those of the contract. #}
{% macro clickhouse__get_assert_columns_equivalent(sql) -%}
    {%- if not is_checked() -%}{{ dbt.clickhouse__get_assert_columns_equivalent(sql) }}{%- endif -%}
{%- endmacro %}

{% macro is_checked() -%}
    {%- set built -%}
        select argMax(definition_hash, committed_at) from {{ source('ops', 'watermarks') }} where model = '{{ this.identifier }}'
    {%- endset -%}
    {{ return(is_incremental() and dbt.run_query(built).rows[0][0] == definition_hash()) }}
{%- endmacro %}

{# Of all that the columns of a model follow from: its statement, its contract and the contracts of what it reads. #}
{% macro definition_hash() -%}
    {%- set contracts = [model.columns] -%}
    {%- for unique_id in model.depends_on.nodes -%}
        {%- do contracts.append((graph.nodes[unique_id] if unique_id in graph.nodes else graph.sources[unique_id]).columns) -%}
    {%- endfor -%}
    {{- return(local_md5(sql ~ tojson(contracts))) -}}
{%- endmacro %}
