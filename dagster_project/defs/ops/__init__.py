"""What the pipeline is asked to do once more."""
