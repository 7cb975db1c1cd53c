"""ClickHouse's HTTP interface over an embedded engine."""
