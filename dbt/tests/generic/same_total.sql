{# An aggregate of the model equals an aggregate of another relation. #}
{% test same_total(model, expression, other_model, other_expression, merged=false, other_merged=false) %}

with

here as (
    select {{ expression }} as total from {{ model }} {{ 'final' if merged }}
),

there as (
    select {{ other_expression }} as total from {{ other_model }} {{ 'final' if other_merged }}
)

select
    here.total as found,
    there.total as expected
from here
cross join there
where here.total != there.total

{% endtest %}
