-- A token's effect must outlast every retry of its insert; on a replicated table the default of the server's own window does.
ALTER TABLE `${raw}`.events${local} ${on_cluster} MODIFY SETTING non_replicated_deduplication_window = 10000;

ALTER TABLE `${raw}`.events${local} ${on_cluster}
    ADD COLUMN IF NOT EXISTS clock_skew_ms Int64 DEFAULT 0
        COMMENT 'Milliseconds that were added to the time by the clock of the client to get occurred_at' CODEC(ZSTD(1)) AFTER source,
    ADD COLUMN IF NOT EXISTS warnings Array(LowCardinality(String))
        COMMENT 'Codes of what the sender should look at, for example occurred_in_future' AFTER clock_skew_ms,
    ADD COLUMN IF NOT EXISTS ip String
        COMMENT 'Address of the sender without its last part; empty when unknown or dropped' CODEC(ZSTD(1)) AFTER warnings,
    ADD COLUMN IF NOT EXISTS country LowCardinality(String)
        COMMENT 'ISO 3166 code of the country of the address; empty when unknown' AFTER ip,
    ADD COLUMN IF NOT EXISTS user_agent LowCardinality(String)
        COMMENT 'User agent as sent; empty when unknown' AFTER country,
    ADD COLUMN IF NOT EXISTS device_type LowCardinality(String)
        COMMENT 'desktop, mobile, tablet, tv, bot or other; empty when unknown' AFTER user_agent,
    ADD COLUMN IF NOT EXISTS os_name LowCardinality(String) COMMENT 'Operating system, for example iOS' AFTER device_type,
    ADD COLUMN IF NOT EXISTS os_version LowCardinality(String) COMMENT 'Its version, for example 17.4' AFTER os_name,
    ADD COLUMN IF NOT EXISTS browser_name LowCardinality(String) COMMENT 'Browser, for example Mobile Safari' AFTER os_version,
    ADD COLUMN IF NOT EXISTS browser_version LowCardinality(String) COMMENT 'Its major version' AFTER browser_name,
    ADD COLUMN IF NOT EXISTS is_bot Bool DEFAULT false
        COMMENT 'Whether the user agent is a crawler, a monitor or a browser without a screen; models leave such events out' AFTER browser_version;

-- cluster only
ALTER TABLE `${raw}`.events ${on_cluster}
    ADD COLUMN IF NOT EXISTS clock_skew_ms Int64 DEFAULT 0 AFTER source,
    ADD COLUMN IF NOT EXISTS warnings Array(LowCardinality(String)) AFTER clock_skew_ms,
    ADD COLUMN IF NOT EXISTS ip String AFTER warnings,
    ADD COLUMN IF NOT EXISTS country LowCardinality(String) AFTER ip,
    ADD COLUMN IF NOT EXISTS user_agent LowCardinality(String) AFTER country,
    ADD COLUMN IF NOT EXISTS device_type LowCardinality(String) AFTER user_agent,
    ADD COLUMN IF NOT EXISTS os_name LowCardinality(String) AFTER device_type,
    ADD COLUMN IF NOT EXISTS os_version LowCardinality(String) AFTER os_name,
    ADD COLUMN IF NOT EXISTS browser_name LowCardinality(String) AFTER os_version,
    ADD COLUMN IF NOT EXISTS browser_version LowCardinality(String) AFTER browser_name,
    ADD COLUMN IF NOT EXISTS is_bot Bool DEFAULT false AFTER browser_version;

CREATE TABLE IF NOT EXISTS `${raw}`.rejected_events${local} ${on_cluster}
(
    rejection_id String COMMENT 'Id of this rejection: a UUID' CODEC(ZSTD(1)),
    event_id String COMMENT 'Id that the event has, also after a replay: of the client, or made at its rejection' CODEC(ZSTD(1)),
    event_name String COMMENT 'What happened, as far as it could be read' CODEC(ZSTD(1)),
    code LowCardinality(String) COMMENT 'Why it was rejected, for example field_missing',
    field String COMMENT 'The field that is wrong; empty for the event as a whole' CODEC(ZSTD(1)),
    message String COMMENT 'What is wrong with it, in words' CODEC(ZSTD(1)),
    payload String COMMENT 'The event as it was sent: JSON' CODEC(ZSTD(1)),
    is_complete Bool COMMENT 'False when the payload was too large to be kept whole; such an event cannot be replayed',
    rejected_by LowCardinality(String) COMMENT 'api, or warehouse for an event that ClickHouse refused',
    source LowCardinality(String) COMMENT 'What the write key names, for example web',
    received_at DateTime64(3, 'UTC') COMMENT 'When the API received it' CODEC(Delta, ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row came in' CODEC(Delta, ZSTD(1))
)
ENGINE = ${merge_tree}
PARTITION BY toYYYYMM(inserted_at)
ORDER BY (inserted_at, rejection_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 10000
COMMENT 'Append log of rejected events; a rejection may be there more than once';

-- cluster only
CREATE TABLE IF NOT EXISTS `${raw}`.rejected_events ${on_cluster} AS `${raw}`.rejected_events_local
ENGINE = Distributed(`${cluster}`, `${raw}`, rejected_events_local, cityHash64(rejection_id));

CREATE TABLE IF NOT EXISTS `${raw}`.quarantine_replays${local} ${on_cluster}
(
    replay_id String COMMENT 'Id of this attempt: a UUID' CODEC(ZSTD(1)),
    rejection_id String COMMENT 'What was tried again' CODEC(ZSTD(1)),
    event_id String COMMENT 'Id of the event' CODEC(ZSTD(1)),
    outcome LowCardinality(String) COMMENT 'accepted, or rejected once more',
    code LowCardinality(String) COMMENT 'Why it was rejected once more; empty when accepted',
    message String COMMENT 'The same in words' CODEC(ZSTD(1)),
    requested_by String COMMENT 'Who asked for it: the subject of the token' CODEC(ZSTD(1)),
    replayed_at DateTime64(3, 'UTC') COMMENT 'When it was tried' CODEC(Delta, ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row came in' CODEC(Delta, ZSTD(1))
)
ENGINE = ${merge_tree}
PARTITION BY toYYYYMM(inserted_at)
ORDER BY (inserted_at, rejection_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 10000
COMMENT 'Append log of attempts to take in rejected events after all';

-- cluster only
CREATE TABLE IF NOT EXISTS `${raw}`.quarantine_replays ${on_cluster} AS `${raw}`.quarantine_replays_local
ENGINE = Distributed(`${cluster}`, `${raw}`, quarantine_replays_local, cityHash64(rejection_id));
