"""What the public models of sound do the same way in every backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from multimodal.configs.base import PretrainedConfig
from multimodal.modeling.base import ModelBase
from multimodal.modeling.dropout import is_replaced
from multimodal.numeric import masking

OF_FEATURES = "features."
"""What our names of the tensors of the feature encoder begin with, behind those of the base network."""


class HearsSound(ModelBase):
    """The neutral half of a model of sound.

    In training, frames and features are masked and layers skipped as `numeric.masking` draws it from a seed: one that the
    framework's own generator gives, where the arrays are not given.
    """

    def _prepare(self, config: PretrainedConfig, parts: tuple[str, ...] | None = None) -> None:
        super()._prepare(config, parts)
        if self.config.add_adapter and "adapter" not in self.spec.parts:
            raise ValueError(f"add_adapter: expected False for {self.spec.name}, whose head knows no adapter, got True")

    def _lacking(self, inputs: Mapping[str, Any], training: bool) -> tuple[str, ...]:
        """The arguments that this call draws: none where dropout is replaced by its mean, which leaves nothing to chance."""
        if not training or is_replaced():
            return ()
        return tuple(name for name in masking.draws(self.config) if inputs.get(name) is None)

    def _of_features(self) -> list[str]:
        """Our names of the tensors of the feature encoder."""
        start = f"{self.spec.head}." if self.spec.head else ""
        return [row.name for row in self.rows() if row.name.startswith(start + OF_FEATURES)]

    def _of_base(self) -> list[str]:
        """Our names of the tensors of the base model. ValueError where there is no other."""
        if not self.spec.head:
            raise ValueError(f"freeze_base_model: expected a model with a head, got {self.spec.name}")
        return [row.name for row in self.rows() if row.name.startswith(f"{self.spec.head}.")]

    def _embeddings(self) -> NoReturn:
        """There is no table of vectors, and there are no patches."""
        raise ValueError(
            f"embeddings: expected a model of text or of images, got {self.spec.name}, which hears samples"
        )

    def resize_token_embeddings(self, new_num_tokens: int | None = None, pad_to_multiple_of: int | None = None) -> Any:
        """ValueError: `from_pretrained(..., vocab_size=n, ignore_mismatched_sizes=True)` gives CTC other characters."""
        return super().resize_token_embeddings(new_num_tokens) if self.inside_of else self._embeddings()
