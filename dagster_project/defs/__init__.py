"""What Dagster shows and runs, one package a layer, left to right as the data flows."""
