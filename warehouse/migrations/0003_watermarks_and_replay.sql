CREATE TABLE IF NOT EXISTS `${ops}`.watermarks${local} ${on_cluster}
(
    model LowCardinality(String) COMMENT 'Name of the dbt model',
    high_watermark DateTime64(3, 'UTC') COMMENT 'Rows of raw tables inserted until then are in the model',
    committed_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the run of the model succeeded'
)
ENGINE = ${merge_tree}
ORDER BY (model, committed_at)
COMMENT 'One row per successful run of an incremental model';

-- cluster only
CREATE TABLE IF NOT EXISTS `${ops}`.watermarks ${on_cluster} AS `${ops}`.watermarks_local
ENGINE = Distributed(`${cluster}`, `${ops}`, watermarks_local, cityHash64(model));

CREATE TABLE IF NOT EXISTS `${ops}`.replay_requests${local} ${on_cluster}
(
    visitor_id String COMMENT 'Visitor to compute anew',
    first_at DateTime64(3, 'UTC') COMMENT 'Start of the window to compute anew',
    last_at DateTime64(3, 'UTC') COMMENT 'End of the window to compute anew',
    reason LowCardinality(String) COMMENT 'Why, for example backfill',
    requested_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When it was asked for'
)
ENGINE = ${merge_tree}
PARTITION BY toYYYYMM(requested_at)
ORDER BY (requested_at, visitor_id)
COMMENT 'Windows of visitors that the next run computes anew as if their events had just arrived';

-- cluster only
CREATE TABLE IF NOT EXISTS `${ops}`.replay_requests ${on_cluster} AS `${ops}`.replay_requests_local
ENGINE = Distributed(`${cluster}`, `${ops}`, replay_requests_local, cityHash64(visitor_id));
