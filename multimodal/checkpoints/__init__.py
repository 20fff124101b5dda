"""Checkpoints without any framework: files, names, layouts, and what a class takes from them."""
