"""Broken files made of good ones, and what the library must do with each: see tools/fuzz_files.py."""
