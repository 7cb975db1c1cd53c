CREATE TABLE IF NOT EXISTS `${ops}`.test_results${local} ${on_cluster}
(
    test_name String COMMENT 'Name of the dbt test',
    layer LowCardinality(String) COMMENT 'raw, staging, intermediate or marts',
    table_name LowCardinality(String) COMMENT 'Table that the test is about',
    severity LowCardinality(String) COMMENT 'What a violation is: warn or error',
    status LowCardinality(String) COMMENT 'pass, warn, fail, or error for a test that could not run',
    failure_count UInt64 COMMENT 'Rows that violate the test',
    message String COMMENT 'What dbt says about it; empty when it passed' CODEC(ZSTD(1)),
    invocation_id String COMMENT 'Id of the dbt command' CODEC(ZSTD(1)),
    tested_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the dbt command ended'
)
ENGINE = ${merge_tree}
PARTITION BY toYYYYMM(tested_at)
ORDER BY (test_name, tested_at)
TTL toDateTime(tested_at) + INTERVAL 90 DAY
COMMENT 'One row per data test and dbt command that ran it; kept for 90 days';

-- cluster only
CREATE TABLE IF NOT EXISTS `${ops}`.test_results ${on_cluster} AS `${ops}`.test_results_local
ENGINE = Distributed(`${cluster}`, `${ops}`, test_results_local, cityHash64(test_name));
