-- What was tried with one rejection, in order.
SELECT
    replay_id,
    outcome,
    code,
    message,
    requested_by,
    replayed_at
FROM {raw:Identifier}.quarantine_replays
WHERE rejection_id = {rejection_id:String}
ORDER BY replayed_at, replay_id
LIMIT 1 BY replay_id
