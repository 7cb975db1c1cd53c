-- One rejection with its whole payload.
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
    payload
FROM {raw:Identifier}.rejected_events
WHERE rejection_id = {rejection_id:String}
LIMIT 1
