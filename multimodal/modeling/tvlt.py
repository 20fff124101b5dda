"""What the public models of TVLT do the same way in every backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from multimodal.configs.base import PretrainedConfig
from multimodal.modeling.base import ModelBase
from multimodal.modeling.dropout import is_replaced
from multimodal.numeric import masking


class HidesPatches(ModelBase):
    """The neutral half of a model that hides a part of what it sees.

    The noise that says which part is an argument. Where it is not given, NumPy draws it from a seed that the call names, the
    same in every backend; without a seed the framework draws it as it draws dropout, also inside of a program.
    """

    @staticmethod
    def _hides(inputs: Mapping[str, Any], mask_pixel: bool, mask_audio: bool) -> tuple[str, ...]:
        """The noise that a call needs: for what it says is to be hidden, and for what it gives noise."""
        wanted = {"pixel_noise": mask_pixel, "audio_noise": mask_audio}
        return tuple(name for name, asked in wanted.items() if asked or inputs[name] is not None)

    def _noised(
        self,
        inputs: Mapping[str, Any],
        names: tuple[str, ...],
        seed: int | None,
        sizes: tuple,
        draw: Callable[[tuple, int], Any],
    ) -> dict[str, Any]:
        """`inputs` with the noise of `names`, and no other.

        `sizes` are (batch, frames, steps); `draw(shape, number)` draws the noise of that number.
        """
        shapes = self.config.noise_shapes(*sizes)
        noise = dict.fromkeys(shapes)
        for number, (name, shape) in enumerate(shapes.items()):
            if name in names:
                noise[name] = inputs[name]
            if name in names and noise[name] is None:
                noise[name] = draw(shape, number) if seed is None else self._of_seed(shape, seed, name)
        return {**inputs, **noise}

    def _of_seed(self, shape: tuple, seed: int, name: str) -> Any:
        if not all(isinstance(size, int) for size in shape):
            raise ValueError(f"mask_seed: expected {name} in its place inside of a program for any size, got {seed}")
        return self._tensor(masking.noise(shape, seed, name))


class LearnsWithoutLabels(HidesPatches):
    """The neutral half of the model with the tasks of pre-training."""

    def _prepare(self, config: PretrainedConfig, parts: tuple[str, ...] | None = None) -> None:
        super()._prepare(config, parts)
        if not {"matching_head", "decoder"}.intersection(self.parts):
            raise ValueError(
                f"task_matching, task_mae: expected at least one of them for {self.spec.name}, got neither"
            )

    def _hides_patches(self, inputs: Mapping[str, Any], seed: int | None, training: bool) -> bool:
        """Whether a call hides patches and rebuilds them: where noise or a seed is given, and in training, unless chance is
        off there."""
        if seed is not None and "decoder" not in self.parts:
            raise ValueError("mask_seed: expected a model with decoder (config.task_mae=True), got one without")
        given = seed is not None or inputs["pixel_noise"] is not None
        hides = "decoder" in self.parts and (given or (training and not is_replaced()))
        if not (hides or "matching_head" in self.parts):
            raise ValueError(
                "pixel_noise, audio_noise: expected both, or mask_seed, for a model of task_matching=False outside of training, "
                "got neither"
            )
        return hides
