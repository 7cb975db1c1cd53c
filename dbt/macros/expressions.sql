{# Sixteen bytes for an event id of any length: narrow to store, and evenly spread. #}
{% macro event_key(event_id) -%}
    reinterpretAsUInt128(sipHash128({{ event_id }}))
{%- endmacro %}

{# Orders events by time, and those of a millisecond by id. As text: aggregate functions take five times as long over tuples. #}
{% macro event_order() -%}
    concat(reverse(reinterpretAsFixedString(toUnixTimestamp64Milli(occurred_at))), event_id)
{%- endmacro %}

{# 'a', 'b' from [a, b]. #}
{% macro quoted(values) -%}
    {%- for value in values -%}
        '{{ value | replace("\\", "\\\\") | replace("'", "\\'") }}'{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{# Text to Decimal(38, 4), rounded half away from zero; NULL for anything that is not a number or does not fit. The pattern
   is needed because ClickHouse reads '12.3.4' as 12.34. #}
{% macro decimal_amount(text, decimals=4) -%}
    toDecimal128OrNull(
        if(
            match({{ text }}, '^[-+]?[0-9]+([.][0-9]*)?([eE][-+]?[0-9]{1,2})?$'),
            toString(round(toDecimal256OrNull({{ text }}, 20), {{ decimals }})),
            ''
        ),
        {{ decimals }}
    )
{%- endmacro %}

{# Array of the calendar days from one to the other, both included. #}
{% macro dates_between(first_date, last_date) -%}
    arrayMap(
        offset -> toDate({{ first_date }}) + offset,
        range(toUInt32(greatest(dateDiff('day', {{ first_date }}, {{ last_date }}) + 1, 0)))
    )
{%- endmacro %}

{# One row per key of a state table. A macro, because a unit test puts plain rows in the place of the table. #}
{% macro final() -%}
    {{- 'final' if model.resource_type != 'unit_test' -}}
{%- endmacro %}

{# Which staged events count: those of people, not of bots nor of the service itself. #}
{% macro is_counted() -%}
    event_name not in ({{ quoted(var('synthetic_events')) }})
    {%- if not var('include_bots') %} and not is_bot{% endif %}
{%- endmacro %}

{# Whether an id stands for one person; vars: shared_ids. #}
{% macro is_personal(identifier) -%}
    {{ identifier }} != '' and lower({{ identifier }}) not in ({{ quoted(var('shared_ids')) }})
{%- endmacro %}
