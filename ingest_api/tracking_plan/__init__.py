"""The tracking plan: which events are expected with which properties, declared in `dbt/tracking_plan/*.yml`."""
