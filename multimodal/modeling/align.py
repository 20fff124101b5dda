"""What ALIGN's model of two towers does the same way in every backend."""

from __future__ import annotations

from typing import Any

from multimodal import specs
from multimodal.checkpoints.names import Row
from multimodal.checkpoints.source import FreshSource
from multimodal.modeling.base import ModelBase, filled
from multimodal.modeling.composite import fresh_halves
from multimodal.modeling.outputs import ModelOutput
from multimodal.specs.align import AlignTextModel, AlignVisionModel, TwoTowerOutput

SMOOTHING = 0.1
"""The share of a right answer that is spread over all: Jia et al. (2021), section 4.1."""


class TwoTowers(ModelBase):
    """A text tower and an image tower, each also a public model that shares its tensors with the whole."""

    public_parts = (*ModelBase.public_parts, "text_model", "vision_model")

    @property
    def text_model(self) -> Any:
        """The text tower as a public model; it shares its tensors with this one."""
        return self._half("text_config")

    @property
    def vision_model(self) -> Any:
        """The image tower as a public model; it shares its tensors with this one."""
        return self._half("vision_config")

    def _fresh(self, rows: list[Row], seed: int = 0) -> FreshSource:
        return fresh_halves(self.config, rows, seed, self.config.initializer_range)

    def _check_text(self, given: dict[str, Any]) -> None:
        self._check_tower(AlignTextModel, self.config.text_config, given)

    def _check_images(self, given: dict[str, Any]) -> None:
        self._check_tower(AlignVisionModel, self.config.vision_config, given)

    def _check_tower(self, spec: specs.Specification, config: Any, given: dict[str, Any]) -> None:
        """Check the arguments of a call that one tower answers."""
        if self.validate and not self._is_traced(given):
            self._expect_arrays(given)
            specs.check(spec, config, given, self._extent, parts=spec.parts)

    def _outputs_of(self, output: TwoTowerOutput) -> dict[str, ModelOutput]:
        """What each tower gives, as an output of its own."""
        return {
            "text_model_output": filled(AlignTextModel.output, output.text),
            "vision_model_output": filled(AlignVisionModel.output, output.vision),
        }

    def resize_token_embeddings(self, new_num_tokens: int | None = None, pad_to_multiple_of: int | None = None) -> Any:
        """Give the text tower's vocabulary another size."""
        return self.text_model.resize_token_embeddings(new_num_tokens, pad_to_multiple_of)

    def prune_heads(self, heads_to_prune: dict[int, list[int]]) -> None:
        """The text tower alone has heads: prune its."""
        raise ValueError("prune_heads: expected model.text_model.prune_heads, got the model of both towers")

    def get_input_embeddings(self) -> Any:
        """The text tower's token embeddings."""
        return self.text_model.get_input_embeddings()

    def set_input_embeddings(self, value: Any) -> None:
        """Set the text tower's token embeddings."""
        self.text_model.set_input_embeddings(value)
