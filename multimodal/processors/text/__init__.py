"""Tokenizers: texts in, arrays of ids out."""
