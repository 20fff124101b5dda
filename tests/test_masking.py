"""What training of sound draws: spans of frames and of features, and layers."""

import numpy as np
import pytest

from multimodal import Data2VecAudioConfig
from multimodal.numeric import masking

ROWS = 400


def config(**fields):
    return Data2VecAudioConfig(**{"hidden_size": 48, "num_attention_heads": 4, "num_hidden_layers": 4, **fields})


def spans(length=50, share=0.3, span=10, least=0, seed=0, rows=ROWS, width=None):
    rng = np.random.default_rng(seed)
    lengths = np.full(rows, length)
    return masking.spans(lengths, width or length, share=share, span=span, least=least, rng=rng)


def runs(row):
    """Lengths of the spans in a row, of which two that touch are one."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
    return edges[1::2] - edges[::2]


def test_a_row_has_whole_spans_within_its_length():
    mask = spans(length=37, share=0.5, width=50)
    assert not mask[:, 37:].any()
    assert mask[:, 36].any()
    assert all((runs(row) >= 10).all() and row.any() for row in mask)


@pytest.mark.parametrize("share", [0.3, 0.25])
def test_the_number_of_spans_is_the_share_on_average(share):
    """Spans of one place do not overlap: they can be counted."""
    counts = np.array([spans(share=share, span=1, length=10, rows=1, seed=seed).sum() for seed in range(ROWS)])
    assert set(counts) <= {int(share * 10), int(share * 10) + 1}
    deviation = max(counts.std(), 0.01)
    assert abs(counts.mean() - share * 10) < 6 * deviation / np.sqrt(ROWS)


def test_there_are_at_least_as_many_spans_as_is_said_where_they_fit():
    assert (spans(share=0.0, least=2, span=1).sum(1) == 2).all()
    assert not spans(length=9, span=10, least=2).any()
    assert (spans(length=10, span=10, least=2).sum(1) == 10).all()


def test_a_seed_draws_the_same_and_each_purpose_for_itself():
    of = config(mask_time_prob=0.5, mask_time_length=2, mask_feature_prob=0.5, mask_feature_length=2, layerdrop=0.5)
    made = masking.drawn(of, [48, 48], 48, seed=3)
    again = masking.drawn(of, np.array([48, 48]), 48, seed=3)
    assert set(made) == {"mask_time_indices", "mask_feature_indices", "kept_layers"}
    assert all(np.array_equal(made[name], again[name]) for name in made)
    assert not np.array_equal(made["mask_time_indices"], masking.drawn(of, [48, 48], 48, seed=4)["mask_time_indices"])
    assert not np.array_equal(made["mask_time_indices"], made["mask_feature_indices"])


def test_what_is_switched_off_is_not_drawn():
    off = {"mask_time_prob": 0.0, "mask_feature_prob": 0.0, "layerdrop": 0.0}
    assert masking.draws(config(**off)) == ()
    assert masking.draws(config(**off | {"layerdrop": 0.1})) == ("kept_layers",)
    assert masking.draws(config(apply_spec_augment=False, mask_feature_prob=0.5)) == ("kept_layers",)
    assert masking.draws(config()) == ("mask_time_indices", "kept_layers")


def test_layers_are_skipped_as_often_as_is_said():
    kept = np.array([masking.layers_to_keep(config(layerdrop=0.25), seed) for seed in range(ROWS)])
    assert kept.shape == (ROWS, 4)
    assert abs(kept.mean() - 0.75) < 6 * np.sqrt(0.25 * 0.75 / kept.size)
