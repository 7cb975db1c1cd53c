{# A model has read everything that arrived up to its last committed watermark. The row is written by a post-hook, so a
   run that dies leaves the old mark and the next run repeats the same span. Bounds are sub-queries, never --vars: the
   compiled text stays constant and partial parsing survives. #}

{% macro committed_watermark(model_name) -%}
    assumeNotNull((
        select argMax(high_watermark, committed_at)
        from {{ source('ops', 'watermarks') }}
        where model = '{{ model_name }}'
    ))
{%- endmacro %}

{# The own last watermark: rows above it are new to this model. #}
{% macro low_watermark() -%}
    {{ committed_watermark(this.identifier) }}
{%- endmacro %}

{# The least watermark of the direct upstreams: rows above it may still be incomplete. The ref makes dbt build them first also
   where the model reads one of them only in incremental runs. #}
{% macro high_watermark(upstreams) -%}
    {%- for upstream in upstreams -%}{%- do ref(upstream) -%}{%- endfor -%}
    arrayMin([
        {%- for upstream in upstreams %}
        {{ committed_watermark(upstream) }}{{ ',' if not loop.last }}
        {%- endfor %}
    ])
{%- endmacro %}

{# Post-hook: only now has the model read everything up to the high watermark. #}
{% macro commit_watermark(upstreams) -%}
    insert into {{ source('ops', 'watermarks') }} (model, high_watermark, definition_hash)
    select
        '{{ this.identifier }}',
        greatest({{ low_watermark() }}, {{ high_watermark(upstreams) }}),
        '{{ definition_hash() if execute }}'
{%- endmacro %}

{# Pre-hook: a table that is built anew has read nothing yet, whatever an earlier table of that name had read. #}
{% macro reset_watermark() -%}
    {%- if model.config.materialized == 'incremental' and not is_incremental() -%}
    insert into {{ source('ops', 'watermarks') }} (model, high_watermark)
    values ('{{ this.identifier }}', toDateTime64(0, 3, 'UTC'))
    {%- endif -%}
{%- endmacro %}
