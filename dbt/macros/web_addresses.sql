{# Host of an absolute address in small letters, without "www."; empty for a path and for what is no address. #}
{% macro host(address) -%}
    if(position({{ address }}, '://') > 0, lower(domainWithoutWWW({{ address }})), '')
{%- endmacro %}

{# Whether two hosts belong to one site: shop.example.co.uk and example.co.uk do. #}
{% macro same_site(host, other) -%}
    {{ host }} = {{ other }}
    or (
        cutToFirstSignificantSubdomain({{ host }}) = cutToFirstSignificantSubdomain({{ other }})
        and cutToFirstSignificantSubdomain({{ host }}) != ''
    )
{%- endmacro %}

{# A parameter of an address, decoded. What decodes to no valid text is mended: readers of the tables expect UTF-8. #}
{% macro url_parameter(address, name) -%}
    if(
        position({{ address }}, '{{ name }}=') > 0,
        toValidUTF8(decodeURLFormComponent(extractURLParameter({{ address }}, '{{ name }}'))),
        ''
    )
{%- endmacro %}

{# Name of the first advertising click id (vars: click_ids) with a value, in the address or among the properties. #}
{% macro click_id(address, properties) -%}
    {%- set names = var('click_ids') | join('|') -%}
    {{ first_text([
        "extract(" ~ address ~ ", '[?&](" ~ names ~ ")=[^&#]')",
        "extract(" ~ properties ~ ", '\"(" ~ names ~ ")\"\\\\s*:\\\\s*\"[^\"]')"
    ]) }}
{%- endmacro %}
