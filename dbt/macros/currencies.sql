{# An amount in the reporting currency, at a rate of the seed currency_rates; NULL without a rate. #}
{% macro in_reporting_currency(amount, currency, rate) -%}
    accurateCastOrNull(
        round(toDecimal256({{ amount }}, 4) * if({{ currency }} = '{{ var('reporting_currency') }}', 1, {{ rate }}), 4),
        'Decimal(38, 4)'
    )
{%- endmacro %}
