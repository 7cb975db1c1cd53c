{# What staging reads of an event's properties and context: the names that Segment, PostHog, gtag and this service's own
   clients use. One parse of each text, whatever the number of names. #}

{% macro known_properties() -%}
    Tuple(
    {%- for name in [
        'page', 'path', '$pathname', 'url', '$current_url', 'page_location', 'referrer', '$referrer', 'page_referrer',
        'utm_source', 'utm_medium', 'utm_campaign', 'utm_term', 'utm_content',
        'utmSource', 'utmMedium', 'utmCampaign', 'utmTerm', 'utmContent',
        'previousId', 'previous_id', 'alias', '$anon_distinct_id', 'currency', 'order_id',
        'product_id', 'productId', 'item_id', 'sku', 'product_name', 'productName', 'item_name',
    ] -%}
        `{{ name }}` String{{ ', ' if not loop.last }}
    {%- endfor -%}
    )
{%- endmacro %}

{% macro known_context() -%}
    Tuple(page Tuple(url String, path String, referrer String), campaign Tuple(source String, medium String, name String, term
    String, content String), location Tuple(country String), country String, device String, os String, browser String)
{%- endmacro %}

{# Which of some kinds the event is by its name, from {kind: names}; empty for none. #}
{% macro event_kind(kinds) -%}
    multiIf({% for kind, names in kinds.items() %}event_name in ({{ quoted(names) }}), '{{ kind }}', {% endfor %}'')
{%- endmacro %}

{# The first of some texts that is not empty. #}
{% macro first_text(texts) -%}
    coalesce({% for text in texts %}nullIf({{ text }}, ''), {% endfor %}'')
{%- endmacro %}

{# A text that clients send plainly ("os": "iOS") or as a member of an object ("os": {"name": "iOS"}). #}
{% macro said_by(text, member) -%}
    if(startsWith({{ text }}, '{'), JSONExtractString({{ text }}, '{{ member }}'), {{ text }})
{%- endmacro %}
