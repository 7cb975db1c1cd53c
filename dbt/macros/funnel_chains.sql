{# A moment of a funnel is one number that sorts by time: milliseconds since 1970, then a bit for each step that the event can
   be. Sixteen bits hold the steps; equal times follow in the order of the steps. #}

{% macro moment(occurred_at, step_bits) -%}
    bitShiftLeft(toUInt64(toUnixTimestamp64Milli({{ occurred_at }})), 16) + {{ step_bits }}
{%- endmacro %}

{% macro moment_ms(moment) -%}
    bitShiftRight({{ moment }}, 16)
{%- endmacro %}

{% macro moment_steps(moment) -%}
    bitAnd({{ moment }}, toUInt64(65535))
{%- endmacro %}

{# The steps that an event can be, one bit each. #}
{% macro step_bits(funnel) -%}
    {%- for step in funnel.steps -%}
        {{ ' + ' if not loop.first }}{{ 2 ** loop.index0 }} * toUInt64(
            event_name in ({{ quoted(step.events) }})
            {%- for condition in step.conditions %} and {{ holds(condition) }}{% endfor -%}
        )
    {%- endfor -%}
{%- endmacro %}

{# What the attributes of a first step are stored under, and their texts. The session is found by the client's own id. #}
{% macro entry_attributes(funnel) -%}
    {%- set pairs = [] -%}
    {%- for breakdown in funnel.breakdowns if breakdown.of in ('property', 'column') -%}
        {%- do pairs.append('(' ~ quoted([attribute_key(breakdown)]) ~ ', ' ~ attribute_text(breakdown) ~ ')') -%}
    {%- endfor -%}
    {%- if 'session' in funnel.breakdowns | map(attribute='of') -%}
        {%- do pairs.append("('session', client_session_id)") -%}
    {%- endif -%}
    cast([{{ pairs | join(', ') }}], 'Array(Tuple(String, String))')
{%- endmacro %}

{% macro attribute_key(attribute) -%}
    {{ return(attribute.of ~ '.' ~ attribute.name) }}
{%- endmacro %}

{# Text of an attribute of an event; empty when it has none. Properties: the columns that int_funnel_visitors reads. #}
{% macro attribute_text(attribute) -%}
    {%- if attribute.of == 'property' -%}
        said[{{ quoted([attribute.name]) }}]
    {%- else -%}
        toString({{ attribute.name }})
    {%- endif -%}
{%- endmacro %}

{# Whether a condition holds. A number is compared as a number, true and false as their words; what is not set is empty. #}
{% macro holds(condition) -%}
    {%- set text = attribute_text(condition) -%}
    {%- set comparison = {'gt': '>', 'gte': '>=', 'lt': '<', 'lte': '<='}.get(condition.operator) -%}
    {%- set operator = condition.operator.removeprefix('not_').replace('is_not_set', 'is_unset') -%}
    {{ 'not ' if condition.operator.startswith('not_') -}}
    {%- if operator == 'is_set' -%}
        {{ text }} != ''
    {%- elif operator == 'is_unset' -%}
        {{ text }} = ''
    {%- elif comparison -%}
        coalesce(toFloat64OrNull({{ text }}) {{ comparison }} {{ condition.value }}, false)
    {%- elif operator == 'contains' -%}
        (position({{ text }}, {{ quoted([condition.value | string]) }}) > 0)
    {%- elif operator == 'matches' -%}
        match({{ text }}, {{ quoted([condition.value | string]) }})
    {%- else -%}
        (
            {%- for value in (condition.value if operator == 'in' else [condition.value]) -%}
                {{ ' or ' if not loop.first }}
                {%- if value is number and value is not boolean -%}
                    coalesce(toFloat64OrNull({{ text }}) = {{ value }}, false)
                {%- else -%}
                    {{ text }} = {{ quoted([value | string | lower if value is boolean else value]) }}
                {%- endif -%}
            {%- endfor -%}
        )
    {%- endif -%}
{%- endmacro %}

{# The properties of a stored event that funnels look at, as texts: a number or a boolean comes as its text, as in JSON. #}
{% macro property_texts(names) -%}
    map(
    {%- for name in names -%}
        {{ quoted([name]) }}, JSONExtract(properties, {{ quoted([name]) }}, 'String'){{ ', ' if not loop.last }}
    {%- endfor -%}
    )
{%- endmacro %}

{# What an event is to each funnel: the steps that it can be, the steps that begin a chain, whether it can do nothing else than
   begin one, the attributes of a first step. #}
{% macro funnel_marks(funnels) -%}
    [
    {%- for funnel in funnels -%}
        (
            {{- loop.index }}, {{ step_bits(funnel) }}, {{ 65535 if funnel.order == 'any' else 1 }},
            {{ '(' ~ step_bits(funnel) ~ ') = 1' if funnel.order == 'ordered' else 'false' }}, {{ entry_attributes(funnel) -}}
        ){{ ', ' if not loop.last }}
    {%- endfor -%}
    ]
{%- endmacro %}

{# The declared funnels as a table. #}
{% macro funnel_table(funnels) -%}
    {%- for funnel in funnels %}
        select
            {{ loop.index }} as funnel_number,
            toLowCardinality({{ quoted([funnel.name]) }}) as funnel_name,
            '{{ funnel.order }}' as step_order,
            [{{ quoted(funnel_step_names(funnel)) }}] as step_names,
            arrayMap(number -> toUInt64(exp2(number)), range({{ funnel.steps | length }})) as step_bits,
            {{ funnel.window_ms }} as window_ms,
            {{ funnel.window_days }} as window_days
        {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# Without an order there is no second step, only a second one of the steps. #}
{% macro funnel_step_names(funnel) -%}
    {%- set names = [] -%}
    {%- for step in funnel.steps -%}
        {%- do names.append('any ' ~ loop.index ~ ' of ' ~ loop.length if funnel.order == 'any' else step.name) -%}
    {%- endfor -%}
    {{ return(names) }}
{%- endmacro %}

{# Of the sorted moments of an entry those of the chain that goes deepest. Each way to find it is given the moments that it is
   for, or none and finds none: `if` would compute them several times. #}
{% macro deepest_chain(orders) -%}
    arrayConcat(
    {%- for order in orders -%}
        {{ ', ' if not loop.first }}
        {%- if order == 'any' -%}
            {{ deepest_chain_in_any_order("if(step_order = 'any', moments, [])") }}
        {%- elif order == 'strict' -%}
            {{ deepest_folded_chain('strict', "step_order = 'strict'") }}
        {%- else -%}
            arrayMap(place -> moments[place], arrayFilter(place -> place > 0 and fits, chain)),
            {{ deepest_folded_chain('ordered', "step_order = 'ordered' and not fits") }}
        {%- endif -%}
    {%- endfor -%}
    )
{%- endmacro %}

{# The entries, and for those of ordered funnels their chains: places in `moments`, counted from 1; 0 for a step that does not
   come. Nothing is complete before the chain whose steps each come as early as they can. If all of it lies in the window
   (`fits`), as it does nearly always, the chain looked for is complete at the same moment: of equally deep chains the first
   that is complete, and of these the one that began last. It begins where one gets to from there going back, each step as late
   as it can be, and goes on as early as it can. Else chains that began later have to be followed as well.
   In three queries, for the name of a column grows with all that it is made of. #}
{% macro chains_of_entries(funnels) -%}
    {%- set steps = funnels | selectattr('order', 'equalto', 'ordered') | map(attribute='steps') | map('length') | max -%}
    {%- if not steps -%}{{ return('select * from entries') }}{%- endif -%}
    select *, {{ places_of_next_steps('chain', steps) }}
    from (
        select
            *,
            earliest[depth] as latest_{{ steps }},
            {% for step in range(steps - 1, 0, -1) -%}
                if(
                    {{ step }} < depth,
                    arrayLastIndex(
                        (moment, number) -> number < latest_{{ step + 1 }} and bitAnd(moment, step_bits[{{ step }}]) > 0
                        {{- ' and moment < entry_ends_at' if step == 1 }},
                        moments, numbers
                    ),
                    latest_{{ steps }}
                ) as latest_{{ step }},
            {% endfor -%}
            moments[latest_1] as last_start,
            -- What follows a start may have happened at the same time: of starts at one time the first.
            arrayFirstIndex(
                moment -> bitAnd(moment, 1) > 0 and {{ moment_ms('moment') }} = {{ moment_ms('last_start') }}, moments
            ) as chain_1
        from (
            select
                *,
                arrayEnumerate(moments) as numbers,
                arrayFirstIndex(moment -> bitAnd(moment, 1) > 0 and moment < entry_ends_at, moments) as earliest_1,
                {{ places_of_next_steps('earliest', steps) }},
                arrayCount(place -> place > 0, earliest) as depth,
                {{ moment_ms('moments[earliest[depth]]') }} - {{ moment_ms('moments[earliest_1]') }} <= window_ms
                and step_order = 'ordered' as fits
            from entries
        )
    )
{%- endmacro %}

{# Columns of the places of the steps that follow one another from a start on, each as early as it can, and all of them. There
   is none after 0: one less than that is more than any place. #}
{% macro places_of_next_steps(name, steps) -%}
    {%- set places = [name ~ '_1'] -%}
    {%- for step in range(2, steps + 1) -%}
        arrayFirstIndex(
            (moment, number) -> number - 1 > toUInt32({{ places[-1] }} - 1) and bitAnd(moment, step_bits[{{ step }}]) > 0,
            moments, numbers
        ) as {{ name }}_{{ step }},
        {% do places.append(name ~ '_' ~ step) -%}
    {%- endfor -%}
    [{{ places | join(', ') }}] as {{ name }}
{%- endmacro %}

{# The fold keeps, for each number of steps, the chain that began last: it is the one whose window stays open longest. A step
   counts the first time after the one before it. The last moment is none: it lets the fold look at what the one before has
   made. #}
{% macro deepest_folded_chain(order, condition) -%}
    arrayFold(
        (state, moment) -> (
            arrayMap(
                (step_bit, chain, before) -> if(
                    bitAnd(moment, step_bit) > 0
                    and if(
                        step_bit = 1,
                        moment < entry_ends_at,
                        {{ moment_ms('before[1]') }} > {{ '0' if order == 'strict' else moment_ms('chain[1]') }}
                        and {{ moment_ms('moment') }} <= {{ moment_ms('before[1]') }} + window_ms
                    ),
                    arrayPushBack(before, moment),
                    {{ 'emptyArrayUInt64()' if order == 'strict' else 'chain' }}
                ),
                step_bits, state.1, arrayPushFront(arrayPopBack(state.1), emptyArrayUInt64())
            ),
            if(
                length(arrayLast(chain -> notEmpty(chain), state.1)) > length(state.2),
                arrayLast(chain -> notEmpty(chain), state.1),
                state.2
            )
        ),
        if({{ condition }}, arrayPushBack(moments, 18446744073709486080), []),
        (arrayMap(step_bit -> emptyArrayUInt64(), step_bits), emptyArrayUInt64())
    ).2
{%- endmacro %}

{# Without an order two chains of one length may lack different steps, and neither stands for the other: each beginning is
   followed by itself. An event is one step, also where it could be several: the first that is open. #}
{% macro deepest_chain_in_any_order(moments) -%}
    {%- set open_steps = 'bitAnd(' ~ moment_steps('moment') ~ ", bitNot(arrayReduce('groupBitOr', chain)))" -%}
    arraySort(
        (chain, number) -> (
            -toInt64(length(chain)), {{ moment_ms('chain[-1]') }}, -toInt64({{ moment_ms('chain[1]') }}), number
        ),
        arrayMap(
            beginning -> arrayFold(
                (chain, moment) -> if(
                    moment >= beginning
                    and {{ open_steps }} > 0
                    and {{ moment_ms('moment') }} <= {{ moment_ms('beginning') }} + window_ms,
                    arrayPushBack(
                        chain,
                        bitAnd(moment, bitNot(toUInt64(65535))) + bitAnd({{ open_steps }}, bitNot({{ open_steps }}) + 1)
                    ),
                    chain
                ),
                {{ moments }},
                emptyArrayUInt64()
            ),
            arrayFilter(moment -> {{ moment_steps('moment') }} > 0 and moment < entry_ends_at, {{ moments }}) as beginnings
        ),
        arrayEnumerate(beginnings)
    )[1]
{%- endmacro %}

{# The breakdowns of all funnels, each as funnel, dimension and value, out of the attributes of an entry, its session and its day. #}
{% macro entry_dimensions(funnels) -%}
    {%- set dimensions = [] -%}
    {%- for funnel in funnels -%}
        {%- for breakdown in funnel.breakdowns -%}
            {%- set value = {
                'session': "coalesce(toString(sessions." ~ breakdown.name ~ "), '')",
                'visitor': "if(visitor_days.is_first_day, 'new', 'returning')",
            }.get(breakdown.of, 'entries.attributes[' ~ quoted([attribute_key(breakdown)]) ~ ']') -%}
            {%- do dimensions.append('(' ~ quoted([funnel.name, breakdown.name]) ~ ', ' ~ value ~ ')') -%}
        {%- endfor -%}
    {%- endfor -%}
    cast([{{ dimensions | join(', ') }}], 'Array(Tuple(String, String, String))')
{%- endmacro %}
