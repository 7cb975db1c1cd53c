-- Of rows from before it is not known.
ALTER TABLE `${ops}`.watermarks${local} ${on_cluster}
    ADD COLUMN IF NOT EXISTS definition_hash String DEFAULT ''
        COMMENT 'Hash of the statement that built the model, and of the columns that it reads and writes' AFTER high_watermark;

-- cluster only
ALTER TABLE `${ops}`.watermarks ${on_cluster}
    ADD COLUMN IF NOT EXISTS definition_hash String DEFAULT '' AFTER high_watermark;
