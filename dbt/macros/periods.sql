{# Retention counts in days, weeks (from Monday) and months at once: each of these arrays has one element for each. #}

{% macro granularities() -%}
    ['day', 'week', 'month']
{%- endmacro %}

{# First day of the day, week and month that a date lies in. #}
{% macro period_starts(date) -%}
    [{{ date }}, toMonday({{ date }}), toStartOfMonth({{ date }})]
{%- endmacro %}

{# How many days, weeks and months lie between the periods of two dates. #}
{% macro periods_between(first_date, last_date) -%}
    [
        dateDiff('day', {{ first_date }}, {{ last_date }}),
        dateDiff('week', toMonday({{ first_date }}), toMonday({{ last_date }})),
        dateDiff('month', {{ first_date }}, {{ last_date }})
    ]
{%- endmacro %}

{# How many days, weeks and months a cohort is followed (vars: retention_periods). #}
{% macro longest_periods() -%}
    {%- set periods = var('retention_periods') -%}
    [{{ periods.day }}, {{ periods.week }}, {{ periods.month }}]
{%- endmacro %}
