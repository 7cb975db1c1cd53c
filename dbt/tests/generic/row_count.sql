{# The number of rows lies between the bounds. #}
{% test row_count(model, minimum, maximum) %}

select count() as found
from {{ model }}
having count() not between {{ minimum }} and {{ maximum }}

{% endtest %}
