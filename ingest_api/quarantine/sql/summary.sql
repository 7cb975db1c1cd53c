-- How many events were rejected in a span of time and why, and how many of them still are.
SELECT
    code,
    source,
    uniqExact(rejection_id) AS rejected_count,
    uniqExactIf(
        rejection_id,
        rejection_id GLOBAL NOT IN
            (SELECT rejection_id FROM {raw:Identifier}.quarantine_replays WHERE outcome = 'accepted')
    ) AS waiting_count,
    min(received_at) AS first_received_at,
    max(received_at) AS last_received_at
FROM {raw:Identifier}.rejected_events
WHERE received_at >= fromUnixTimestamp64Milli({since_ms:Int64})
    AND received_at < fromUnixTimestamp64Milli({until_ms:Int64})
GROUP BY code, source
ORDER BY waiting_count DESC, rejected_count DESC, code, source
LIMIT 1000
