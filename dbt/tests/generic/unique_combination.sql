{# No two rows agree in all these columns. merged: of a state table, after its versions are merged. latest_only: only the rows
   of the last run, so that the cost does not grow with history. #}
{% test unique_combination(model, columns, merged=false, latest_only=false) %}

select
    {{ columns | join(', ') }},
    count() as found
from {{ model }} {{ 'final' if merged }}
{% if latest_only %}
    where refreshed_at = (select max(refreshed_at) from {{ model }})
{% endif %}
group by {{ columns | join(', ') }}
having count() > 1

{% endtest %}
