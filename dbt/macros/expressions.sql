{# 'a', 'b' from [a, b]. #}
{% macro quoted(values) -%}
    {%- for value in values -%}
        '{{ value | replace("\\", "\\\\") | replace("'", "\\'") }}'{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{# Text to Decimal(38, 4), rounded half away from zero; NULL for anything that is not a number or does not fit. The pattern
   is needed because ClickHouse reads '12.3.4' as 12.34. #}
{% macro decimal_amount(text) -%}
    toDecimal128OrNull(
        if(
            match({{ text }}, '^[-+]?[0-9]+([.][0-9]*)?([eE][-+]?[0-9]{1,2})?$'),
            toString(round(toDecimal256OrNull({{ text }}, 20), 4)),
            ''
        ),
        4
    )
{%- endmacro %}

{# Array of the calendar days from one to the other, both included. #}
{% macro dates_between(first_date, last_date) -%}
    arrayMap(
        offset -> toDate({{ first_date }}) + offset,
        range(toUInt32(greatest(dateDiff('day', {{ first_date }}, {{ last_date }}) + 1, 0)))
    )
{%- endmacro %}

{# State rows written since the last run of this model. Deleted rows count: what vanished changes a day as well. #}
{% macro changed(upstreams) -%}
    _version > {{ low_watermark() }} and _version <= {{ high_watermark(upstreams) }}
{%- endmacro %}

{# Silence after which a session of this stream is over. #}
{% macro session_gap(client_session_id) -%}
    toIntervalSecond(if({{ client_session_id }} = '', {{ var('session_gap_seconds') }}, {{ var('client_session_gap_seconds') }}))
{%- endmacro %}
