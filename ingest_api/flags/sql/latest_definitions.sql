-- The last version of every definition. What a restored Valkey has put in again is the same version once more.
SELECT kind, key, max(version) AS latest, argMax(after, (version, changed_at)) AS document
FROM {raw:Identifier}.definition_changes
GROUP BY kind, key
