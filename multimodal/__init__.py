"""Multimodal models in three frameworks."""
