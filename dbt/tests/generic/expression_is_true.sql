{# The expression holds for every row (NULL counts as not holding). #}
{% test expression_is_true(model, expression, merged=false) %}

select *
from {{ model }} {{ 'final' if merged }}
where not coalesce({{ expression }}, false)

{% endtest %}
