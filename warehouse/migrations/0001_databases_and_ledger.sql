CREATE DATABASE IF NOT EXISTS `${database}` ${on_cluster} ENGINE = Atomic
COMMENT 'dbt target schema; its layers are databases of their own';

CREATE DATABASE IF NOT EXISTS `${raw}` ${on_cluster} ENGINE = Atomic
COMMENT 'What arrived, as it arrived';

CREATE DATABASE IF NOT EXISTS `${ops}` ${on_cluster} ENGINE = Atomic
COMMENT 'Ledgers of the service itself: migrations, watermarks, replay requests';

CREATE DATABASE IF NOT EXISTS `${stats}` ${on_cluster} ENGINE = Atomic
COMMENT 'Experiment estimates';

CREATE TABLE IF NOT EXISTS `${ops}`.migrations${local} ${on_cluster}
(
    version UInt32 COMMENT 'Number of the migration file',
    name String COMMENT 'Name of the migration file',
    checksum String COMMENT 'SHA-256 of the migration file',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When it was applied'
)
ENGINE = ${merge_tree}
ORDER BY version
COMMENT 'One row per applied migration';

-- cluster only
CREATE TABLE IF NOT EXISTS `${ops}`.migrations ${on_cluster} AS `${ops}`.migrations_local
ENGINE = Distributed(`${cluster}`, `${ops}`, migrations_local);
