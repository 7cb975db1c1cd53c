{# Properties as types, from text that JSONExtract made of them: a number or a boolean comes as its text, as it does from
   clients that quote it, and what is absent or null comes empty. What is not of the type becomes NULL. #}

{% macro property_number(text) -%}
    if(isFinite(assumeNotNull(toFloat64OrNull({{ text }}))), toFloat64OrNull({{ text }}), null)
{%- endmacro %}

{% macro property_integer(text) -%}
    toInt64OrNull({{ text }})
{%- endmacro %}

{% macro property_boolean(text) -%}
    multiIf({{ text }} = 'true', true, {{ text }} = 'false', false, null)
{%- endmacro %}

{# ISO 8601, or milliseconds since 1970; a smaller number was meant as seconds. #}
{% macro property_timestamp(text) -%}
    multiIf(
        match({{ text }}, '^[0-9]{4}-'), parseDateTime64BestEffortOrNull({{ text }}, 3, 'UTC'),
        toFloat64OrZero({{ text }}) between 100000000000 and 10413791999999,
        fromUnixTimestamp64Milli(toInt64(toFloat64OrZero({{ text }})), 'UTC'),
        null
    )
{%- endmacro %}

{# The text of a number to its last digit: ClickHouse reads JSON numbers as floats, so it is cut out of the JSON where its
   place is beyond doubt. #}
{% macro exact_text(properties, name) -%}
    if(
        countSubstrings({{ properties }}, concat('"', {{ quoted([name]) }}, '"')) = 1
        and (JSONHas({{ properties }}, {{ quoted([name]) }}) or not isValidJSON({{ properties }})),
        trimBoth(
            extract(
                {{ properties }}, concat('"', regexpQuoteMeta({{ quoted([name]) }}), '"\\s*:\\s*("[^"]*"|[^\\s",}]+)')
            ),
            '"'
        ),
        JSONExtractString({{ properties }}, {{ quoted([name]) }})
    )
{%- endmacro %}
