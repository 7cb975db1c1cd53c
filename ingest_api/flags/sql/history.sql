-- Changes of one definition, newest first. A row may be stored twice.
SELECT change_id, version, action, actor, comment, before, after, changed_at
FROM {raw:Identifier}.definition_changes
WHERE kind = {kind:String} AND key = {key:String} AND version < {before_version:UInt64}
ORDER BY version DESC, changed_at DESC
LIMIT 1 BY version
LIMIT {limit:UInt32}
