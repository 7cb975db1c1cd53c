-- Both periods, one row per day and currency.
SELECT
    revenue_date,
    currency,
    order_count,
    gross_revenue_amount,
    refund_amount,
    net_revenue_amount,
    refund_count,
    buyer_count
FROM {marts:Identifier}.revenue_daily
WHERE revenue_date BETWEEN {previous_start:Date} AND {end:Date}
ORDER BY revenue_date, currency
