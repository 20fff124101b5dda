"""The neutral half of every public model."""
