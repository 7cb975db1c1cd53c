CREATE TABLE IF NOT EXISTS `${raw}`.definition_changes${local} ${on_cluster}
(
    change_id String COMMENT 'Id of this change: a UUID' CODEC(ZSTD(1)),
    kind LowCardinality(String) COMMENT 'What was changed: flag, segment or scheduled_change',
    key String COMMENT 'Its key' CODEC(ZSTD(1)),
    version UInt64 COMMENT 'Its version from then on; grows by one with each change, a deletion included',
    action LowCardinality(String) COMMENT 'created, updated, deleted, reverted, restored, or scheduled for a change made by the clock',
    actor String COMMENT 'Who made it: the subject of the token' CODEC(ZSTD(1)),
    comment String COMMENT 'Why, in the words of the actor' CODEC(ZSTD(1)),
    before String COMMENT 'The definition until then: JSON; empty when there was none' CODEC(ZSTD(3)),
    after String COMMENT 'The definition from then on: JSON; empty when it was deleted' CODEC(ZSTD(3)),
    changed_at DateTime64(3, 'UTC') COMMENT 'When it was made' CODEC(Delta, ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row came in' CODEC(Delta, ZSTD(1))
)
ENGINE = ${merge_tree}
PARTITION BY toYYYYMM(inserted_at)
ORDER BY (kind, key, version)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 10000
COMMENT 'Audit trail of definitions, from which they can be rebuilt; a row may be there more than once';

-- cluster only
CREATE TABLE IF NOT EXISTS `${raw}`.definition_changes ${on_cluster} AS `${raw}`.definition_changes_local
ENGINE = Distributed(`${cluster}`, `${raw}`, definition_changes_local, cityHash64(kind, key));

CREATE TABLE IF NOT EXISTS `${raw}`.flag_evaluations${local} ${on_cluster}
(
    count_id String COMMENT 'Id of this count: a UUID' CODEC(ZSTD(1)),
    flag_key LowCardinality(String) COMMENT 'The flag',
    version UInt64 COMMENT 'Version of the flag that answered',
    variant LowCardinality(String) COMMENT 'Name of the variant that was answered; empty when the value has none',
    answer String COMMENT 'The value that was answered: JSON, its beginning when it is long' CODEC(ZSTD(1)),
    reason LowCardinality(String) COMMENT 'Why, for example SPLIT',
    evaluation_count UInt64 COMMENT 'How often one API process gave this answer',
    first_at DateTime64(3, 'UTC') COMMENT 'When it gave it first' CODEC(Delta, ZSTD(1)),
    last_at DateTime64(3, 'UTC') COMMENT 'When it gave it last' CODEC(Delta, ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row came in' CODEC(Delta, ZSTD(1))
)
ENGINE = ${merge_tree}
PARTITION BY toYYYYMM(inserted_at)
ORDER BY (flag_key, last_at)
TTL toDateTime(inserted_at) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Counts of evaluations, some seconds of one API process a row; a row may be there more than once';

-- cluster only
CREATE TABLE IF NOT EXISTS `${raw}`.flag_evaluations ${on_cluster} AS `${raw}`.flag_evaluations_local
ENGINE = Distributed(`${cluster}`, `${raw}`, flag_evaluations_local, cityHash64(flag_key));

-- FNV-1a of 32 bits over UTF-16 code units, as SDKs in JavaScript see text.
CREATE FUNCTION IF NOT EXISTS flag_fnv1a ${on_cluster} AS text -> arrayFold(
    (hash, unit) -> bitAnd(bitXor(hash, unit) * 16777619, 4294967295),
    arrayMap(
        position -> toUInt64(reinterpretAsUInt16(substring(convertCharset(text, 'utf-8', 'utf-16le'), 2 * position - 1, 2))),
        range(1, toUInt32(length(convertCharset(text, 'utf-8', 'utf-16le')) / 2) + 1)
    ),
    toUInt64(2166136261)
);

-- Place of a user between 0 and 1 by hash version 2 of the GrowthBook SDK specification: those below 0.4 are in at 40 %.
CREATE FUNCTION IF NOT EXISTS flag_bucket ${on_cluster} AS (seed, id) -> flag_fnv1a(toString(flag_fnv1a(concat(seed, id)))) % 10000 / 10000;
