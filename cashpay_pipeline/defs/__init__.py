"""What Dagster should know about the pipeline, and when it runs. Thin: the work is in the modules beside it."""
