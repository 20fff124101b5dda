"""What only TVLT has: frames and spectrograms of several lengths, noise that hides a part of them, several tasks."""

import numpy as np
import pytest
import zoo

from multimodal.checkpoints.layout import to_backend
from multimodal.numeric import masking

MODEL, PRETRAINING, CLASSIFIER = "TvltModel", "TvltForPreTraining", "TvltForAudioVisualClassification"
NOISE = ("pixel_noise", "audio_noise")
FRAME, BANDS = 8, 3
"""Patches of a frame, and of a time of a spectrogram, in the tiny model: 3 frames and 4 times at most."""


def clips(name, of, *more, noise=False):
    """Videos and sounds of the largest length."""
    given = zoo.inputs(name, of, 1, *more)
    return {key: value for key, value in given.items() if noise or key not in NOISE}


def masks(frames=3, times=4):
    """Masks of a batch in whose last row only so many frames and times are there."""
    pixels, sound = np.ones((2, 3 * FRAME), np.int32), np.ones((2, 4 * BANDS), np.int32)
    pixels[1, frames * FRAME :], sound[1, times * BANDS :] = 0, 0
    return {"pixel_mask": pixels, "audio_mask": sound}


def state(kit, model, **given):
    return kit.numpy(kit.call(model, **given).last_hidden_state)


class TestLengths:
    """A shorter clip is a longer one whose end nobody sees."""

    def test_a_video_of_fewer_frames_is_one_of_which_the_last_are_hidden(self, loaded, kit):
        model = loaded(MODEL)
        given = clips(MODEL, model.config)
        whole = state(kit, model, **given, pixel_mask=masks(frames=2)["pixel_mask"])[1]
        short = state(kit, model, **(given | {"pixel_values": given["pixel_values"][:, :2]}))[1]
        seen = np.delete(whole, np.s_[1 + 2 * FRAME : 1 + 3 * FRAME], axis=0)
        np.testing.assert_allclose(short, seen, rtol=1e-4, atol=1e-4)

    def test_a_shorter_sound_is_one_of_which_the_end_is_hidden(self, loaded, kit):
        model = loaded(MODEL)
        given = clips(MODEL, model.config)
        whole = state(kit, model, **given, audio_mask=masks(times=3)["audio_mask"])[1]
        short = state(kit, model, **(given | {"audio_values": given["audio_values"][:, :, :6]}))[1]
        np.testing.assert_allclose(short, whole[:-BANDS], rtol=1e-4, atol=1e-4)

    def test_what_is_hidden_is_not_felt(self, loaded, kit):
        model = loaded(MODEL)
        given = clips(MODEL, model.config)
        other = {key: value.copy() for key, value in given.items()}
        other["pixel_values"][1, 1:] += 3
        other["audio_values"][1, :, 4:] += 3
        shown = masks(frames=1, times=2)
        before, after = (state(kit, model, **clip, **shown)[1] for clip in (given, other))
        seen = np.r_[0 : 1 + FRAME, 1 + 3 * FRAME : 1 + 3 * FRAME + 2 * BANDS]
        np.testing.assert_allclose(before[seen], after[seen], rtol=1e-5, atol=1e-5)
        assert np.abs(before - after).max() > 0.1

    def test_the_first_state_is_that_of_the_class_token_then_pixels_then_sound(self, loaded, kit):
        model = loaded(MODEL)
        out = kit.call(model, **clips(MODEL, model.config))
        parts = [kit.numpy(out[f"last_{kind}_hidden_state"]) for kind in ("pixel", "audio")]
        np.testing.assert_array_equal(np.concatenate(parts, 1), kit.numpy(out.last_hidden_state)[:, 1:])


class TestNoise:
    """Which patches are hidden: those with the most noise, of equal ones the last."""

    def test_the_least_noise_is_kept_and_the_rest_hidden(self, loaded, kit):
        model = loaded(MODEL)
        given = clips(MODEL, model.config, noise=True)
        out = kit.call(model, **given)
        order = np.argsort(given["pixel_noise"], 1)
        hidden, ids = kit.numpy(out.pixel_label_masks), kit.numpy(out.pixel_ids_restore)
        for row in (0, 1):
            assert not hidden[row, order[row, :6]].any()
            assert hidden[row, order[row, 6:]].all()
            np.testing.assert_array_equal(ids[row, order[row]], np.arange(3 * FRAME))

    @pytest.mark.parametrize("kind", ["frame-level", "frame_level", "patch-level", "patch_level"])
    def test_equal_noise_keeps_what_comes_first(self, public, kit, kind):
        of = zoo.config(MODEL, audio_mask_type=kind)
        count = 4 if kind.startswith("frame") else 4 * BANDS
        noise = {"pixel_noise": np.zeros((2, 3 * FRAME), np.float32), "audio_noise": np.zeros((2, count), np.float32)}
        out = kit.call(public(MODEL)(of), **clips(MODEL, of), **noise)
        for field, positions, kept in (("pixel", 3 * FRAME, 6), ("audio", 4 * BANDS, 8)):
            expected = np.tile(np.arange(positions), (2, 1))
            np.testing.assert_array_equal(kit.numpy(out[f"{field}_ids_restore"]), expected)
            np.testing.assert_array_equal(kit.numpy(out[f"{field}_label_masks"]), expected >= kept)

    def test_noise_of_times_hides_all_of_their_bands(self, public, kit):
        of = zoo.config(MODEL, audio_mask_ratio=0.5)
        given = clips(MODEL, of) | {"audio_noise": np.array([[3, 1, 2, 0], [0, 1, 2, 3]], np.float32)}
        out = kit.call(public(MODEL)(of), **given)
        hidden = kit.numpy(out.audio_label_masks).reshape(2, 4, BANDS)
        np.testing.assert_array_equal(hidden, np.array([[1, 0, 1, 0], [0, 0, 1, 1]])[..., None].repeat(BANDS, 2))
        assert "pixel_label_masks" not in out

    def test_padding_is_not_what_is_to_be_rebuilt(self, loaded, kit):
        model = loaded(MODEL)
        out = kit.call(model, **clips(MODEL, model.config, noise=True), **masks(frames=1, times=2))
        assert not kit.numpy(out.pixel_label_masks)[1, FRAME:].any()
        assert not kit.numpy(out.audio_label_masks)[1, 2 * BANDS :].any()
        assert kit.numpy(out.pixel_label_masks)[0, FRAME:].any()

    def test_a_seed_draws_in_numpy_what_it_draws_everywhere(self, loaded, kit):
        model = loaded(MODEL)
        given = clips(MODEL, model.config)
        drawn = {name: masking.noise((2, count), 5, name) for name, count in zip(NOISE, (3 * FRAME, 4))}
        expected = state(kit, model, **given, **drawn)
        found = state(kit, model, **given, mask_pixel=True, mask_audio=True, mask_seed=5)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
        other = state(kit, model, **given, mask_pixel=True, mask_audio=True, mask_seed=6)
        assert np.abs(other - expected).max() > 0.1

    def test_training_hides_by_chance_what_no_noise_names(self, public, kit):
        model = kit.seeded(lambda: public(PRETRAINING)(zoo.config(PRETRAINING)), 0)
        given = clips(PRETRAINING, model.config)
        first, again, other = (kit.drawn(model, seed, **given) for seed in (1, 1, 2))
        assert "pixel_logits" in first
        assert np.abs(kit.numpy(first.pixel_logits) - kit.numpy(other.pixel_logits)).max() > 1e-4
        if kit.NAME != "tf":  # Keras goes on from draw to draw
            np.testing.assert_array_equal(kit.numpy(first.pixel_logits), kit.numpy(again.pixel_logits))


class TestTasks:
    """Each task of pre-training alone, and in inference too."""

    def test_matching_alone(self, public, kit):
        of = zoo.config(PRETRAINING, task_mae=False)
        model = public(PRETRAINING)(of)
        assert not any(name.startswith("decoder") for name in model.named_tensors())
        out = kit.call(model, **clips(PRETRAINING, of, "labels"))
        assert tuple(out) == ("loss", "matching_logits")

    def test_rebuilding_alone(self, public, kit):
        of = zoo.config(PRETRAINING, task_matching=False)
        model = public(PRETRAINING)(of)
        assert not any(name.startswith("matching") for name in model.named_tensors())
        out = kit.call(model, **clips(PRETRAINING, of, noise=True))
        assert tuple(out) == ("loss", "pixel_logits", "audio_logits")
        with pytest.raises(ValueError, match=r"pixel_noise, audio_noise: expected both, or mask_seed"):
            kit.call(model, **clips(PRETRAINING, of))

    def test_no_task_is_refused(self, public):
        with pytest.raises(ValueError, match=r"task_matching, task_mae: expected at least one of them"):
            public(PRETRAINING)(zoo.config(PRETRAINING, task_mae=False, task_matching=False))

    def test_both_losses_add_up(self, loaded, kit):
        model = loaded(PRETRAINING)
        given = clips(PRETRAINING, model.config, "labels", noise=True)
        alone = {key: value for key, value in given.items() if key not in NOISE}
        unlabelled = {key: value for key, value in given.items() if key != "labels"}
        both, matching, rebuilding = (float(kit.call(model, **g).loss) for g in (given, alone, unlabelled))
        assert both == pytest.approx(matching + rebuilding, rel=1e-5)

    def test_the_loss_is_the_mean_error_of_what_is_hidden(self, loaded, kit):
        model = loaded(PRETRAINING)
        given = clips(PRETRAINING, model.config, noise=True) | masks(frames=2, times=3)
        out = kit.call(model, **given)
        pixels = (
            given["pixel_values"].reshape(2, 3, 3, 2, 4, 4, 2).transpose(0, 1, 3, 5, 4, 6, 2).reshape(2, 3 * FRAME, -1)
        )
        sound = given["audio_values"].reshape(2, 1, 4, 2, 3, 5).transpose(0, 2, 4, 3, 5, 1).reshape(2, 4 * BANDS, -1)
        expected = 0.0
        for name, values, shown in (("pixel", pixels, "pixel_mask"), ("audio", sound, "audio_mask")):
            noise = given[f"{name}_noise"].repeat(1 if name == "pixel" else BANDS, 1)
            keep = 6 if name == "pixel" else 8
            hidden = (np.argsort(np.argsort(noise, 1, kind="stable"), 1) >= keep) * given[shown]
            each = np.square(kit.numpy(out[f"{name}_logits"]) - values).mean(-1)
            expected += (each * hidden).sum() / hidden.sum()
        assert float(out.loss) == pytest.approx(expected, rel=1e-4)

    def test_where_only_padding_is_hidden_there_is_no_error(self, loaded, kit):
        model = loaded(PRETRAINING)
        nothing = {"pixel_mask": np.zeros((2, 3 * FRAME), np.int32), "audio_mask": np.zeros((2, 4 * BANDS), np.int32)}
        assert float(kit.call(model, **clips(PRETRAINING, model.config, noise=True), **nothing).loss) == 0

    def test_matching_looks_at_the_mixed_video(self, loaded, kit):
        model = loaded(PRETRAINING)
        given = clips(PRETRAINING, model.config)
        mixed = given["pixel_values"][::-1].copy()
        asked = kit.numpy(kit.call(model, **given, pixel_values_mixed=mixed).matching_logits)
        expected = kit.numpy(kit.call(model, **(given | {"pixel_values": mixed})).matching_logits)
        np.testing.assert_allclose(asked, expected, rtol=1e-5, atol=1e-6)


def test_without_the_final_norm_the_last_state_is_the_last_layer_s(public, kit):
    of = zoo.config(MODEL, use_mean_pooling=True)
    model = public(MODEL)(of)
    assert not any(name.startswith("norm.") for name in model.named_tensors())
    out = kit.call(model, **clips(MODEL, of), output_hidden_states=True)
    np.testing.assert_array_equal(kit.numpy(out.last_hidden_state), kit.numpy(out.hidden_states[-1]))


def test_a_regression_compares_labels_of_rank_one_with_all_scores(public, kit):
    of = zoo.config(CLASSIFIER, num_labels=1, loss_type="regression")
    model = public(CLASSIFIER)(of)
    given = clips(CLASSIFIER, of)
    labels = np.array([0.5, -2.0], np.float32)
    flat, column = kit.call(model, **given, labels=labels), kit.call(model, **given, labels=labels[:, None])
    scores = kit.numpy(flat.logits)
    assert float(flat.loss) == pytest.approx(np.square(scores - labels).mean(), rel=1e-5)
    assert float(column.loss) == pytest.approx(np.square(scores - labels[:, None]).mean(), rel=1e-5)


def test_pruned_heads_are_silenced_heads(load, kit):
    """Heads 1 and 3 of layer 0 pruned, or what they say made zero on its way out."""
    silent, pruned = load(MODEL), load(MODEL)
    given = clips(MODEL, silent.config)
    name = "transformer.blocks.0.attention.out.weight"
    row = next(row for row in silent.rows() if row.name == name)
    weight = silent.published_tensors()[row.published].copy()
    weight[:, 4:8] = weight[:, 12:] = 0
    silent._load([(name, to_backend(weight, row.kind, kit.NAME))])
    pruned.prune_heads({0: [1, 3]})
    np.testing.assert_allclose(state(kit, pruned, **given), state(kit, silent, **given), rtol=1e-4, atol=1e-5)


BAD = {
    "more frames": ({"pixel_values": np.zeros((2, 4, 3, 8, 8), np.float32)}, ("pixel_values", "from 1 to 3 frames", "got 4")),
    "no frames": ({"pixel_values": np.zeros((2, 0, 3, 8, 8), np.float32)}, ("pixel_values", "from 1 to 3 frames", "got 0")),
    "another size": (
        {"pixel_values": np.zeros((2, 3, 3, 8, 16), np.float32)}, ("pixel_values", "image_width=8", "(2, 3, 3, 8, 16)"),
    ),
    "longer sound": ({"audio_values": np.zeros((2, 1, 10, 15), np.float32)}, ("audio_values", "from 2 to 8 steps", "got 10")),
    "half a patch": ({"audio_values": np.zeros((2, 1, 5, 15), np.float32)}, ("audio_values", "whole patches of 2", "got 5")),
    "other bands": ({"audio_values": np.zeros((2, 1, 8, 16), np.float32)}, ("audio_values", "bands=15", "(2, 1, 8, 16)")),
    "pixel mask of another size": ({"pixel_mask": np.ones((2, 23), int)}, ("pixel_mask", "pixel_patches=24", "(2, 23)")),
    "audio mask of another size": ({"audio_mask": np.ones((2, 13), int)}, ("audio_mask", "audio_patches=12", "(2, 13)")),
    "no number": (
        {"audio_values": np.full((2, 1, 8, 15), np.nan, np.float32)}, ("audio_values", "expected finite values", "nan"),
    ),
    "infinite pixels": (
        {"pixel_values": np.full((2, 3, 3, 8, 8), np.inf, np.float32)}, ("pixel_values", "expected finite values", "inf"),
    ),
    "noise of another size": ({"audio_noise": np.zeros((2, 12), np.float32)}, ("audio_noise", "audio_noises=4", "(2, 12)")),
    "a mixed mask alone": ({"pixel_mask_mixed": np.ones((2, 24), int)}, ("pixel_mask_mixed", "pixel_values_mixed")),
    "labels that are no shares": ({"labels": np.full((2, 1), 2.0, np.float32)}, ("labels", "[0, 1]", "2.0")),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_bad_clip_is_refused_by_name(loaded, kit, what):
    changes, words = BAD[what]
    model = loaded(PRETRAINING)
    with pytest.raises(ValueError, match=r".") as caught:
        kit.call(model, **(clips(PRETRAINING, model.config, noise="noise" in what) | changes))
    for word in words:
        assert word in str(caught.value)


def test_a_seed_needs_a_decoder(public, kit):
    of = zoo.config(PRETRAINING, task_mae=False)
    with pytest.raises(ValueError, match="mask_seed: expected a model with decoder"):
        kit.call(public(PRETRAINING)(of), **clips(PRETRAINING, of), mask_seed=1)
    given = clips(PRETRAINING, zoo.config(PRETRAINING), noise=True)
    with pytest.raises(ValueError, match="pixel_noise: expected a model with decoder"):
        kit.call(public(PRETRAINING)(of), **given)
