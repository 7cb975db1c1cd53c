{{
    config(
        materialized='table',
        order_by='high_watermark',
        post_hook="insert into {{ source('ops', 'watermarks') }} (model, high_watermark)
            select '{{ this.identifier }}', high_watermark from {{ this }}"
    )
}}

{%- set safety_lag_ms = (env_var('ANALYTICS_SAFETY_LAG_SECONDS', '30') | float * 1000) | int %}

select
    -- Rows younger than the lag may still become visible out of order. The mark never moves back, even if the clock does.
    greatest(
        now64(3, 'UTC') - toIntervalMillisecond({{ safety_lag_ms }}),
        {{ committed_watermark(this.identifier) }}
    ) as high_watermark
