CREATE TABLE IF NOT EXISTS `${raw}`.events${local} ${on_cluster}
(
    event_id String COMMENT 'Id given by the client or made at arrival; a resend keeps it' CODEC(ZSTD(1)),
    event_name LowCardinality(String) COMMENT 'What happened, for example page_view',
    event_type LowCardinality(String) COMMENT 'Family of the event, for example transaction',
    user_id String COMMENT 'Known user, empty when unknown' CODEC(ZSTD(1)),
    anonymous_id String COMMENT 'Device or browser, empty when not given' CODEC(ZSTD(1)),
    session_id String COMMENT 'Session id of the client, empty when not given' CODEC(ZSTD(1)),
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened by the clock of the client' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(3, 'UTC') COMMENT 'When the API accepted it' CODEC(Delta, ZSTD(1)),
    properties String COMMENT 'Properties of the event: a JSON object as text' CODEC(ZSTD(1)),
    context String COMMENT 'Surroundings of the event: a JSON object as text' CODEC(ZSTD(1)),
    source LowCardinality(String) COMMENT 'What the write key names, for example web',
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
        COMMENT 'When the row came in; new data is what came in since' CODEC(Delta, ZSTD(1))
)
ENGINE = ${merge_tree}
PARTITION BY toYYYYMM(inserted_at)
ORDER BY (inserted_at, event_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Append log of accepted events in order of arrival; a resent event is there more than once';

-- cluster only
CREATE TABLE IF NOT EXISTS `${raw}`.events ${on_cluster} AS `${raw}`.events_local
ENGINE = Distributed(`${cluster}`, `${raw}`, events_local, cityHash64(if(user_id != '', user_id, anonymous_id)));
