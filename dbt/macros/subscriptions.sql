{# What staging reads of the properties of a subscription's event (vars: subscription_events). #}

{% macro known_terms() -%}
    Tuple(subscription_id String, subscriptionId String, plan String, plan_id String, plan_name String, planName String, interval
    String, billing_interval String, billing_period String)
{%- endmacro %}

{# What the subscription brings in a month: as stated, or the amount of a billing interval, which is a month unless it says
   otherwise. #}
{% macro stated_mrr(properties, terms, revenue_text) -%}
    {%- set amount -%}
        {{ decimal_amount(first_text(
            [exact_text(properties, 'amount'), exact_text(properties, 'price'), revenue_text]
        )) }}
    {%- endset -%}
    {%- set interval = first_text([terms ~ '.`interval`', terms ~ '.billing_interval', terms ~ '.billing_period']) -%}
    coalesce(
        {{ decimal_amount(exact_text(properties, 'mrr')) }},
        accurateCastOrNull(
            round(
                toDecimal256({{ amount }}, 8)
                * transform(
                    lower({{ interval }}),
                    ['day', 'daily', 'week', 'weekly', 'quarter', 'quarterly', 'year', 'yearly', 'annual', 'annually'],
                    [365, 365, 52, 52, 4, 4, 1, 1, 1, 1],
                    12
                ) / 12,
                4
            ),
            'Decimal(38, 4)'
        )
    )
{%- endmacro %}

{# Days with a changed event of a subscription since this model's last run, and all later ones with an event of the same
   subscription: what an event says holds until the next one, so those may mean something else now. #}
{% macro days_of_changed_subscriptions() -%}
    {%- set changed -%}
        select subscription_id, min(event_date) as first_changed_date
        from {{ ref('int_subscription_events') }}
        where _version > {{ low_watermark() }}
        group by subscription_id
    {%- endset -%}
    (
        select event_date from {{ changed_days('int_subscription_events', 'event_date') }}
        union distinct
        select events.event_date as event_date
        from {{ ref('int_subscription_events') }} as events
        inner join ({{ changed }}) as changed on events.subscription_id = changed.subscription_id
        where
            events.subscription_id in (select subscription_id from ({{ changed }}))
            and events.event_date > changed.first_changed_date
    )
{%- endmacro %}
