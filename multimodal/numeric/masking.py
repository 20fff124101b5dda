"""What training draws beside dropout: frames and features of sound to mask, layers to skip, patches to hide.

Drawn in NumPy from a seed, so that every backend draws the same; it enters a call as arrays.
SpecAugment: Park et al. (2019); spans of frames: Baevski et al., wav2vec 2.0 (2020), section 3.1; layer drop: Fan et al.,
"Reducing Transformer Depth on Demand with Structured Dropout" (2020), section 3. Patches: Tang et al., TVLT (2022),
section 3.2.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def spans(
    lengths: np.ndarray, width: int, *, share: float, span: int, least: int, rng: np.random.Generator
) -> np.ndarray:
    """(rows, width) booleans: in each row spans of `span` places, true, among its first `lengths[row]`.

    Their number is `share * length / span`, rounded up or down by chance so that the mean is right, and at least `least`;
    no more than there are places to begin at. They may overlap. A row shorter than one span has none.
    """
    mask = np.zeros((len(lengths), width), bool)
    luck = rng.uniform()
    for row, length in enumerate(lengths):
        begins = max(int(length) - span + 1, 0)
        count = min(max(int(share * length / span + luck), least), begins, width // span)
        for start in rng.choice(begins, count, replace=False) if count else ():
            mask[row, start : start + span] = True
    return mask


def frames_to_mask(config: Any, lengths: np.ndarray, frames: int, seed: int) -> np.ndarray:
    """(batch, frames) booleans: frames that the mask's vector takes the place of. `lengths` are the clips' frames."""
    settings = {"share": config.mask_time_prob, "span": config.mask_time_length, "least": config.mask_time_min_masks}
    return spans(np.asarray(lengths), frames, **settings, rng=_generator(seed, 0))


def features_to_mask(config: Any, batch: int, seed: int) -> np.ndarray:
    """(batch, hidden) booleans: features of a clip that are zero in all of its frames."""
    settings = {
        "share": config.mask_feature_prob, "span": config.mask_feature_length, "least": config.mask_feature_min_masks,
    }  # fmt: skip
    width = config.hidden_size
    return spans(np.full(batch, width), width, **settings, rng=_generator(seed, 1))


def layers_to_keep(config: Any, seed: int) -> np.ndarray:
    """(layers,) booleans: false for layers that are skipped, each with probability `layerdrop`."""
    return _generator(seed, 2).uniform(size=config.num_hidden_layers) >= config.layerdrop


def draws(config: Any) -> tuple[str, ...]:
    """The arguments that training with a configuration draws where they are not given."""
    wanted = {
        "mask_time_indices": config.apply_spec_augment and config.mask_time_prob > 0,
        "mask_feature_indices": config.apply_spec_augment and config.mask_feature_prob > 0,
        "kept_layers": config.layerdrop > 0,
    }
    return tuple(name for name, drawn in wanted.items() if drawn)


def drawn(config: Any, lengths: Any, frames: int, seed: int) -> dict[str, np.ndarray]:
    """{argument: what one call in training draws for it}, of those that are switched on.

    `lengths` (batch,) are the frames of each clip, `frames` those of the batch. The same seed draws the same in every
    backend.
    """
    lengths = np.minimum(np.asarray(lengths), frames)
    made = {
        "mask_time_indices": lambda: frames_to_mask(config, lengths, frames, seed),
        "mask_feature_indices": lambda: features_to_mask(config, len(lengths), seed),
        "kept_layers": lambda: layers_to_keep(config, seed),
    }
    return {name: made[name]() for name in draws(config)}


def noise(shape: tuple[int, int], seed: int, name: str) -> np.ndarray:
    """(batch, positions) in [0, 1), float32, that says which positions are hidden: an argument (`name`) of a call."""
    purpose = {"pixel_noise": 3, "audio_noise": 4}[name]
    return _generator(seed, purpose).uniform(size=shape).astype(np.float32)


def _generator(seed: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng([int(seed), purpose])
