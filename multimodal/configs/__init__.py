"""Framework-neutral configurations, one file per architecture."""
