"""Auto classes of this backend."""

from __future__ import annotations

from multimodal.modeling.auto import auto_classes

globals().update(auto_classes("flax"))
