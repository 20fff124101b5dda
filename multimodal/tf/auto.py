"""Auto classes of this backend."""

from __future__ import annotations

from multimodal.auto_models import auto_classes

globals().update(auto_classes("tf"))
