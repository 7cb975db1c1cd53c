-- How many events were accepted in the same span. Rows are inserted after they were received, but for a difference of clocks.
SELECT source, count() AS accepted_count
FROM {raw:Identifier}.events
WHERE inserted_at >= fromUnixTimestamp64Milli({since_ms:Int64}) - INTERVAL 1 HOUR
    AND received_at >= fromUnixTimestamp64Milli({since_ms:Int64})
    AND received_at < fromUnixTimestamp64Milli({until_ms:Int64})
    AND event_name != {probe:String}
GROUP BY source
ORDER BY source
