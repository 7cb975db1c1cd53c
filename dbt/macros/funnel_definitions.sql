{# The declared funnels (vars: funnels), checked, with the window in milliseconds and in days. #}
{% macro funnel_definitions() -%}
    {%- set milliseconds = {
        'millisecond': 1, 'second': 1000, 'minute': 60000, 'hour': 3600000, 'day': 86400000, 'week': 604800000
    } -%}
    {%- set definitions = [] -%}
    {%- for funnel in var('funnels') -%}
        {%- set words = funnel.window.split() -%}
        {%- set unit = words[-1].rstrip('s') -%}
        {%- if words | length != 2 or not words[0].isdigit() or unit not in milliseconds -%}
            {{ exceptions.raise_compiler_error("Funnel '" ~ funnel.name ~ "': window '" ~ funnel.window
                ~ "' is not like '7 days', '30 minutes' or '500 milliseconds'.") }}
        {%- endif -%}
        {%- if funnel.steps | length < 2 -%}
            {{ exceptions.raise_compiler_error("Funnel '" ~ funnel.name ~ "' needs at least two steps.") }}
        {%- endif -%}
        {%- set window_ms = words[0] | int * milliseconds[unit] -%}
        {%- do definitions.append({
            'name': funnel.name,
            'steps': funnel.steps,
            'window_ms': window_ms,
            'window_days': (window_ms + 86399999) // 86400000,
        }) -%}
    {%- endfor -%}
    {{ return(definitions) }}
{%- endmacro %}

{# Name under which the declared funnels are remembered once everything stored follows them. #}
{% macro funnel_declaration() -%}
    {{ return(this.identifier ~ '@' ~ local_md5(tojson(funnel_definitions()))) }}
{%- endmacro %}

{# Whether the stored rows follow other definitions than the declared ones, so that all of history is due. #}
{% macro funnels_changed() -%}
    {%- if not execute -%}{{ return(false) }}{%- endif -%}
    {%- set last_declaration -%}
        select argMax(model, committed_at) from {{ source('ops', 'watermarks') }}
        where startsWith(model, '{{ this.identifier }}@')
    {%- endset -%}
    {{ return(run_query(last_declaration).rows[0][0] != funnel_declaration()) }}
{%- endmacro %}

{# Post-hook, before commit_watermark. #}
{% macro commit_funnel_declaration(upstreams) -%}
    {%- if funnels_changed() -%}
    insert into {{ source('ops', 'watermarks') }} (model, high_watermark)
    select '{{ funnel_declaration() }}', {{ high_watermark(upstreams) }}
    {%- endif -%}
{%- endmacro %}
