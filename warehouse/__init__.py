"""The ClickHouse tables that dbt does not own: settings, client, raw tables and their migrations."""
