"""Small configurations of Data2Vec-audio, and what they are called with."""

from __future__ import annotations

CASES = ()
