"""Any vision encoder in front of any text decoder: made of configurations, called, taught, saved, loaded, generating.

All pairs are of `make nightly`; in `make test` go those that have what no other test of the composite has.
"""

import numpy as np
import pytest
import zoo

from multimodal import VisionEncoderDecoderConfig
from multimodal.parity import pairs

UNCOVERED = pairs.uncovered()
PAIRS = [pytest.param(pair, marks=() if pair in UNCOVERED else pytest.mark.nightly) for pair in pairs.pairs()]


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_a_pair_is_made_taught_saved_and_loaded_and_generates(public, kit, tmp_path, pair):
    halves = {side: zoo.half(kind, initializer_range=0.3) for side, kind in zip(("encoder", "decoder"), pair)}
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        halves["encoder"], halves["decoder"], decoder_start_token_id=1, pad_token_id=0, eos_token_id=2
    )
    model = public(zoo.COMPOSITE)(config, seed=1)
    given = zoo.inputs(zoo.COMPOSITE, config, 1, "labels")
    loss, gradients = kit.gradients(model, given)
    assert np.isfinite(loss)
    assert all(any(name.startswith(side) and np.abs(g).max() > 0 for name, g in gradients.items()) for side in halves)
    model.save_pretrained(tmp_path)
    again = public(zoo.COMPOSITE).from_pretrained(tmp_path)
    assert not again.load_report.lines()
    before, after = kit.fetch(model), kit.fetch(again)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    pixels = kit.array(given["pixel_values"])
    tokens = [kit.numpy(sequences(each.generate(pixels, max_length=5))) for each in (model, again)]
    np.testing.assert_array_equal(*tokens)
    assert tokens[0].shape[1] > 1


@pytest.mark.parametrize(
    "pair",
    [pytest.param(pair, marks=pytest.mark.nightly if at else ()) for at, pair in enumerate(pairs.covering())],
    ids="-".join,
)
def test_a_pair_is_taught_with_batches_of_several_lengths_and_its_encoder_as_it_is(public, kit, pair):
    """As each framework teaches: a loop, `fit` on `tf.data`, a compiled step of optax."""
    halves = {side: zoo.half(kind, initializer_range=0.3) for side, kind in zip(("encoder", "decoder"), pair)}
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        halves["encoder"], halves["decoder"], decoder_start_token_id=1, pad_token_id=0, eos_token_id=2
    )
    model = public(zoo.COMPOSITE)(config, seed=1)
    drawn = [zoo.inputs(zoo.COMPOSITE, config, 1, "labels", length=length) for length in (5, 3)]
    batches = [{name: batch[name] for name in ("pixel_values", "labels")} for batch in drawn]
    before = kit.fetch(model)
    losses = kit.taught(model, batches, 4, "encoder")
    after = kit.fetch(model)
    moved = {name for name, array in after.items() if not np.array_equal(array, before[name])}
    assert losses[-1] < losses[0]
    assert not any(name.startswith("encoder.") for name in moved)
    assert len(moved) > 0.8 * sum(not name.startswith("encoder.") for name in before)
    generated = [sequences(model.generate(kit.array(batch["pixel_values"]), max_length=4)) for batch in batches]
    assert all(tokens.shape[0] == zoo.BATCH for tokens in generated)


def sequences(generated):
    """Flax gives an output, the others the tokens themselves."""
    return getattr(generated, "sequences", generated)
