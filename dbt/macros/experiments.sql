{# Which experiments an increment computes again, each as a whole: those that go on; those over whose time, or the time before it
   that their covariates look at, an event changed; those that are defined anew; and those that are gone. #}
{% macro experiments_due() -%}
    (
        select experiment_id
        from {{ ref('int_experiments') }}
        {% if is_incremental() %}
            where
                ended_at is null
                or (experiment_id, definition_version) not in (select experiment_id, definition_version from {{ this }})
                or arrayExists(
                    changed_date -> changed_date between first_event_date and last_event_date,
                    (select groupUniqArray(event_date) from {{ changed_days('int_events', 'event_date') }})
                )
            union distinct
            select experiment_id
            from {{ this }}
            where experiment_id not in (select experiment_id from {{ ref('int_experiments') }})
        {% endif %}
    )
{%- endmacro %}

{# The same behind a table of experiments: those that it has computed again, and those that it holds no more. #}
{% macro experiments_changed_in(upstream) -%}
    (
        select distinct experiment_id
        from {{ ref(upstream) }}
        {% if is_incremental() %}
            where refreshed_at > {{ low_watermark() }}
            union distinct
            select experiment_id
            from {{ this }}
            where experiment_id not in (select experiment_id from {{ ref(upstream) }})
        {% endif %}
    )
{%- endmacro %}

{# The end of what has no end, for columns that are no Nullable ones. #}
{% macro end_of_time() -%}
    toDate('2149-06-06')
{%- endmacro %}

{# A number of the properties to nine decimals, by a name that is data; NULL when there is none. Cut out of the text like
   exact_text does. #}
{% macro exact_number(properties, name) -%}
    {%- set member = "concat('\"', " ~ name ~ ", '\"')" -%}
    {%- set text -%}
        if(
            countSubstrings({{ properties }}, {{ member }}) = 1 and JSONHas({{ properties }}, {{ name }}),
            trimBoth(
                extract(
                    substring({{ properties }}, position({{ properties }}, {{ member }}) + length({{ member }})),
                    '^\\s*:\\s*("[^"]*"|[^\\s",}]+)'
                ),
                '"'
            ),
            JSONExtractString({{ properties }}, {{ name }})
        )
    {%- endset -%}
    {{ decimal_amount(text, 9) }}
{%- endmacro %}
