"""Schedules, checks and shows every table as an asset: Dagster around the dbt project."""
