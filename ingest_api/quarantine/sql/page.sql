-- One page of rejections, newest first. Large columns are read for the rows of the page only.
SELECT
    rejection_id,
    event_id,
    event_name,
    code,
    field,
    message,
    source,
    rejected_by,
    received_at,
    is_complete,
    substringUTF8(payload, 1, {preview_characters:UInt32}) AS payload_preview,
    length(payload) AS payload_bytes,
    replays.replayed_at AS first_accepted_at
FROM {raw:Identifier}.rejected_events AS rejected_events
GLOBAL ANY LEFT JOIN
(
    SELECT rejection_id, toNullable(min(replayed_at)) AS replayed_at
    FROM {raw:Identifier}.quarantine_replays
    WHERE outcome = 'accepted'
    GROUP BY rejection_id
) AS replays ON replays.rejection_id = rejected_events.rejection_id
WHERE (received_at, rejection_id) GLOBAL IN
(
    SELECT received_at, rejection_id
    FROM {raw:Identifier}.rejected_events
    WHERE ({code:String} = '' OR code = {code:String})
        AND ({source:String} = '' OR source = {source:String})
        AND ({event_name:String} = '' OR event_name = {event_name:String})
        AND received_at >= fromUnixTimestamp64Milli({since_ms:Int64})
        AND received_at < fromUnixTimestamp64Milli({until_ms:Int64})
        AND (received_at, rejection_id) < (fromUnixTimestamp64Milli({before_ms:Int64}), {before_id:String})
        AND ({status:String} = 'all' OR ({status:String} = 'replayed') = (rejection_id GLOBAL IN
            (SELECT rejection_id FROM {raw:Identifier}.quarantine_replays WHERE outcome = 'accepted')))
    GROUP BY received_at, rejection_id
    ORDER BY received_at DESC, rejection_id DESC
    LIMIT {limit:UInt32}
)
ORDER BY received_at DESC, rejection_id DESC
LIMIT 1 BY rejection_id
