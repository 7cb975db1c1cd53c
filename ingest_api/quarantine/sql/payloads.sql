-- Everything that is needed to try rejections again.
SELECT
    rejection_id,
    event_id,
    event_name,
    payload,
    is_complete,
    source,
    received_at
FROM {raw:Identifier}.rejected_events
WHERE rejection_id IN {rejection_ids:Array(String)}
LIMIT 1 BY rejection_id
