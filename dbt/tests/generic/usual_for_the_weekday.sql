{# The last full day of each series is no outlier among the same weekdays of the weeks before it: it lies within `threshold`
   deviations of their median. A deviation is the robust one (1.4826 times the median absolute deviation, which a promotion or an
   outage among those weeks does not inflate), but at least a tenth of the median, so that a steady series may move a little.
   Fewer than four such weeks, or a median below `least_usual`, allow no judgement.

   The day is found by refreshed_at, not by the clock: a history that was imported is not judged, nor is a day that has not ended.
   missing_is_zero: a series without a row on that day has fallen to nothing; otherwise it is not judged. #}
{% test usual_for_the_weekday(
    model, date_column, value, series, where='true', missing_is_zero=false, least_usual=0, weeks=8, threshold=5
) %}

{%- set last_full_day = '(select toDate(max(refreshed_at)) - 1 from ' ~ model ~ ')' %}
{%- set median = "arrayReduce('quantileExactInclusive(0.5)', " %}

with

points as (
    select
        {{ series | join(', ') }},
        {{ date_column }} = {{ last_full_day }} as is_judged,
        toFloat64({{ value }}) as point
    from {{ model }}
    where
        {{ date_column }} between {{ last_full_day }} - {{ 7 * weeks }} and {{ last_full_day }}
        and toDayOfWeek({{ date_column }}) = toDayOfWeek({{ last_full_day }})
        and {{ value }} is not null
        and {{ where }}
),

histories as (
    select
        {{ series | join(', ') }},
        countIf(is_judged) as judged_points,
        sumIf(point, is_judged) as found,
        groupArrayIf(assumeNotNull(point), not is_judged) as history
    from points
    group by {{ series | join(', ') }}
),

judged as (
    select
        * except history,
        {{ median }}history) as usual,
        greatest(
            1.4826 * {{ median }}arrayMap(past -> abs(past - usual), history)),
            abs(usual) / 10
        ) as deviation
    from histories
    where length(history) >= 4
)

select *
from judged
where
    abs(usual) >= {{ least_usual }}
    and abs(found - usual) > {{ threshold }} * deviation
    {% if not missing_is_zero %}
        and judged_points > 0
    {% endif %}

{% endtest %}
