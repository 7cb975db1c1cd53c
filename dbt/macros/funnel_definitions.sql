{# The declared funnels (vars: funnels), checked and in one form: every step with its event names and conditions, the window
   in milliseconds and in days. What cannot be meant is refused by name when dbt parses the project. #}
{% macro funnel_definitions() -%}
    {%- set definitions = [] -%}
    {%- for funnel in var('funnels') -%}
        {%- set definition = funnel_definition(funnel) -%}
        {%- if definition.name in definitions | map(attribute='name') -%}
            {%- do refuse_funnel(funnel, 'is declared twice.') -%}
        {%- endif -%}
        {%- do definitions.append(definition) -%}
    {%- endfor -%}
    {%- if not definitions -%}{{ exceptions.raise_compiler_error('vars: funnels: declare at least one.') }}{%- endif -%}
    {{ return(definitions) }}
{%- endmacro %}

{% macro refuse_funnel(funnel, complaint) -%}
    {{ exceptions.raise_compiler_error("vars: funnels: '" ~ (funnel.name or funnel) ~ "' " ~ complaint) }}
{%- endmacro %}

{# A misspelt word would be ignored otherwise. #}
{% macro refuse_unknown_words(funnel, place, declared, known) -%}
    {%- for word in declared if word not in known -%}
        {%- do refuse_funnel(funnel, (place ~ " has '" ~ word ~ "', which is none of " ~ known | join(', ') ~ '.') | trim) -%}
    {%- endfor -%}
{%- endmacro %}

{% macro funnel_definition(funnel) -%}
    {%- if funnel is not mapping or funnel.name is not string -%}
        {%- do refuse_funnel({'name': funnel}, 'needs a name.') -%}
    {%- endif -%}
    {%- do refuse_unknown_words(funnel, '', funnel, ['name', 'window', 'order', 'steps', 'breakdowns']) -%}
    {%- set orders = ['ordered', 'strict', 'any'] -%}
    {%- set order = funnel.order or 'ordered' -%}
    {%- if order not in orders -%}
        {%- do refuse_funnel(funnel, "has the order '" ~ order ~ "', which is none of " ~ orders | join(', ') ~ '.') -%}
    {%- endif -%}
    {%- set steps = funnel.steps if funnel.steps is sequence and funnel.steps is not string else [] -%}
    {%- if not 2 <= steps | length <= 16 -%}{%- do refuse_funnel(funnel, 'needs 2 to 16 steps.') -%}{%- endif -%}
    {%- set checked_steps, breakdowns = [], [] -%}
    {%- for step in steps -%}
        {%- do checked_steps.append(funnel_step(funnel, 'step ' ~ loop.index, step)) -%}
    {%- endfor -%}
    {%- for breakdown in funnel.breakdowns or [] -%}
        {%- set attribute = funnel_attribute(
            funnel, 'breakdown ' ~ loop.index, breakdown, ['property', 'column', 'session', 'visitor']
        ) -%}
        {%- if attribute.name in breakdowns | map(attribute='name') -%}
            {%- do refuse_funnel(funnel, "is broken down by '" ~ attribute.name ~ "' twice.") -%}
        {%- endif -%}
        {%- do breakdowns.append(attribute) -%}
    {%- endfor -%}
    {%- set window_ms = funnel_window_ms(funnel) -%}
    {{ return({
        'name': funnel.name,
        'order': order,
        'steps': checked_steps,
        'breakdowns': breakdowns,
        'window_ms': window_ms,
        'window_days': (window_ms + 86399999) // 86400000,
    }) }}
{%- endmacro %}

{% macro funnel_window_ms(funnel) -%}
    {%- set milliseconds = {
        'millisecond': 1, 'second': 1000, 'minute': 60000, 'hour': 3600000, 'day': 86400000, 'week': 604800000
    } -%}
    {%- set words = (funnel.window | string).split() -%}
    {%- set unit = words[-1].rstrip('s') if words else '' -%}
    {%- if words | length != 2 or not words[0].isdigit() or words[0] | int == 0 or unit not in milliseconds -%}
        {%- do refuse_funnel(
            funnel, "has the window '" ~ funnel.window ~ "', which is not like '7 days', '30 minutes' or '500 milliseconds'."
        ) -%}
    {%- endif -%}
    {{ return(words[0] | int * milliseconds[unit]) }}
{%- endmacro %}

{# A step is the name of an event, a list of names, or a mapping with conditions. #}
{% macro funnel_step(funnel, place, step) -%}
    {%- set form = step if step is mapping else {'event': step} -%}
    {%- do refuse_unknown_words(funnel, place, form, ['name', 'event', 'where']) -%}
    {%- set events = [form.event] if form.event is string else form.event or [] -%}
    {%- if events is not sequence or not events or events | reject('string') | list or '' in events -%}
        {%- do refuse_funnel(funnel, place ~ ' needs the name of an event, or a list of names.') -%}
    {%- endif -%}
    {%- set conditions = [] -%}
    {%- for condition in ([form.where] if form.where is mapping else form.where or []) -%}
        {%- do conditions.append(funnel_condition(funnel, place, condition)) -%}
    {%- endfor -%}
    {{ return({'name': form.name or events | join(' or '), 'events': events, 'conditions': conditions}) }}
{%- endmacro %}

{% macro funnel_condition(funnel, place, condition) -%}
    {%- set takes = {
        'equals': 'a value', 'not_equals': 'a value', 'in': 'a list of values', 'not_in': 'a list of values',
        'contains': 'a value', 'not_contains': 'a value', 'matches': 'a value', 'not_matches': 'a value',
        'gt': 'a number', 'gte': 'a number', 'lt': 'a number', 'lte': 'a number',
        'is_set': 'no value', 'is_not_set': 'no value',
    } -%}
    {%- if condition is not mapping -%}
        {%- do refuse_funnel(funnel, place ~ ': a condition is like {property: plan, operator: equals, value: pro}.') -%}
    {%- endif -%}
    {%- set operator, value = condition.get('operator', 'equals'), condition.get('value') -%}
    {%- if operator not in takes -%}
        {%- do refuse_funnel(
            funnel, place ~ " has the operator '" ~ operator ~ "', which is none of " ~ takes | join(', ') ~ '.'
        ) -%}
    {%- endif -%}
    {%- set is_list = value is sequence and value is not string and value is not mapping -%}
    {%- set fits = {
        'a value': value is string or value is number,
        'a list of values': is_list and value and not value | reject('string') | reject('number') | list,
        'a number': value is number and value is not boolean,
        'no value': value is none,
    } -%}
    {%- if not fits[takes[operator]] -%}
        {%- do refuse_funnel(funnel, place ~ ": '" ~ operator ~ "' takes " ~ takes[operator] ~ '.') -%}
    {%- endif -%}
    {%- set attribute = {} -%}
    {%- for word in condition if word not in ('operator', 'value') -%}
        {%- do attribute.update({word: condition[word]}) -%}
    {%- endfor -%}
    {%- set attribute = funnel_attribute(funnel, place, attribute, ['property', 'column']) -%}
    {{ return({'of': attribute.of, 'name': attribute.name, 'operator': operator, 'value': value}) }}
{%- endmacro %}

{# {property: plan}, a member of the event's properties, or {column: country}, a column of int_events; a breakdown also
   {session: channel}, a column of the mart of sessions, or {visitor: kind}. #}
{% macro funnel_attribute(funnel, place, declared, kinds) -%}
    {%- set origin = ['source', 'utm_source', 'utm_medium', 'utm_campaign', 'referrer_host'] -%}
    {%- set device = ['country', 'device_type', 'os_name', 'browser_name'] -%}
    {%- set known = {
        'column': origin + device + ['event_type', 'page', 'page_host', 'utm_term', 'utm_content', 'click_id', 'currency'],
        'session': origin + device + ['channel', 'entry_page'],
        'visitor': ['kind'],
    } -%}
    {%- if declared is not mapping or declared | length != 1 or declared | first not in kinds -%}
        {%- do refuse_funnel(funnel, place ~ ' needs exactly one of ' ~ kinds | join(', ') ~ '.') -%}
    {%- endif -%}
    {%- set kind = declared | first -%}
    {%- set name = declared[kind] -%}
    {%- if name is not string or name not in known.get(kind, [name]) -%}
        {%- do refuse_funnel(
            funnel, place ~ " has the " ~ kind ~ " '" ~ name ~ "', which is none of " ~ known.get(kind, []) | join(', ') ~ '.'
        ) -%}
    {%- endif -%}
    {{ return({'of': kind, 'name': name}) }}
{%- endmacro %}

{% macro funnel_event_names(funnels) -%}
    {{ return(funnels | sum(attribute='steps', start=[]) | sum(attribute='events', start=[]) | unique | list) }}
{%- endmacro %}

{# The properties that conditions and breakdowns look at, and the events whose properties these are; none when there are none. #}
{% macro funnel_properties(funnels) -%}
    {%- set names, events = [], [] -%}
    {%- for funnel in funnels -%}
        {%- set first_steps = funnel.steps if funnel.order == 'any' else funnel.steps[:1] -%}
        {%- set readers = [(first_steps, funnel.breakdowns)] -%}
        {%- for step in funnel.steps -%}{%- do readers.append(([step], step.conditions)) -%}{%- endfor -%}
        {%- for steps, attributes in readers -%}
            {%- for attribute in attributes if attribute.of == 'property' -%}
                {%- do names.append(attribute.name) -%}
                {%- do events.extend(steps | sum(attribute='events', start=[])) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return({'names': names | unique | list, 'events': events | unique | list} if names else none) }}
{%- endmacro %}

{# Name under which the declared funnels are remembered once everything stored follows them. #}
{% macro funnel_declaration() -%}
    {{ return(this.identifier ~ '@' ~ local_md5(tojson(funnel_definitions()))) }}
{%- endmacro %}

{# Whether the stored rows follow other definitions than the declared ones, so that all of history is due. #}
{% macro funnels_changed() -%}
    {%- if not execute -%}{{ return(false) }}{%- endif -%}
    {%- set last_declaration -%}
        select argMax(model, committed_at) from {{ source('ops', 'watermarks') }}
        where startsWith(model, '{{ this.identifier }}@')
    {%- endset -%}
    {{ return(run_query(last_declaration).rows[0][0] != funnel_declaration()) }}
{%- endmacro %}

{# Post-hook, before commit_watermark. #}
{% macro commit_funnel_declaration(upstreams) -%}
    {%- if funnels_changed() -%}
    insert into {{ source('ops', 'watermarks') }} (model, high_watermark)
    select '{{ funnel_declaration() }}', {{ high_watermark(upstreams) }}
    {%- endif -%}
{%- endmacro %}

{# Post-hook, before the declaration is committed. A change of it may leave months without any row to replace theirs with. #}
{% macro drop_months_without_entries(funnels) -%}
    {%- if execute and not should_full_refresh() and funnels_changed() -%}
        {%- set emptied -%}
            select distinct _partition_id
            from {{ this }}
            where toYYYYMM(entry_date) not in (
                select toYYYYMM(entry_date) from {{ ref('int_funnel_visitors') }} final
                where has([{{ quoted(funnels | map(attribute='name')) }}], funnel_name)
            )
        {%- endset -%}
        {%- for row in run_query(emptied).rows -%}
            {%- do run_query('alter table ' ~ this ~ " drop partition id '" ~ row[0] ~ "'") -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
