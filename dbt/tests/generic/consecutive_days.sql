{# Every calendar day from the first to the last one has exactly one row. #}
{% test consecutive_days(model, column) %}

select count() as found
from {{ model }}
having count() > 0 and count() != dateDiff('day', min({{ column }}), max({{ column }})) + 1

{% endtest %}
