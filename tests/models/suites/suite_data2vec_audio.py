"""What only models of sound do: padding, what training masks, CTC, bad clips."""

import importlib
import itertools

import numpy as np
import pytest
import zoo

from multimodal import specs
from multimodal.numeric import masking

AUDIO = tuple(name for name in zoo.CLASSES if specs.of(name).model_type == "data2vec-audio")
MODEL, CTC, FRAMES, XVECTOR, SEQUENCE = (
    f"Data2VecAudio{end}"
    for end in ("Model", "ForCTC", "ForAudioFrameClassification", "ForXVector", "ForSequenceClassification")
)
SAMPLES, SHORT = 40, 29
ADAPTER = {"add_adapter": True, "num_adapter_layers": 2, "output_hidden_size": 14}


def heard(seed=0, samples=SAMPLES, short=SHORT):
    """Two clips, of which the second has padding with something in it, and their mask."""
    values = np.random.default_rng(seed).normal(size=(2, samples)).astype(np.float32)
    mask = np.ones((2, samples), np.int32)
    mask[1, short:] = 0
    return {"input_values": values, "attention_mask": mask}


def alone(clips, row, length):
    return {"input_values": clips["input_values"][row : row + 1, :length]}


def padded_and_alone(kit, model, row, length):
    """(one row of the output of a padded batch, the output of its clip)."""
    clips = heard()
    together = kit.numpy(zoo.main(kit.call(model, **clips)))[row]
    by_itself = kit.numpy(zoo.main(kit.once(model, **alone(clips, row, length))))[0]
    return together[: len(by_itself)] if by_itself.ndim > 1 else together, by_itself


@pytest.mark.parametrize("name", AUDIO)
@pytest.mark.parametrize("fields", [{}, ADAPTER], ids=["plain", "adapter"])
def test_exact_padding_gives_what_the_clips_give_alone(public, kit, name, fields):
    if fields and name not in (MODEL, CTC):
        with pytest.raises(ValueError, match=rf"add_adapter: expected False for {name}"):
            public(name)(zoo.config(name, **fields))
        return
    model = public(name)(zoo.config(name, padding_mode="exact", initializer_range=0.3, **fields), seed=1)
    together, by_itself = padded_and_alone(kit, model, 1, SHORT)
    np.testing.assert_allclose(together, by_itself, rtol=1e-4, atol=1e-5)


def test_published_padding_leaks_and_says_so_by_its_frames(public, kit):
    model = public(MODEL)(zoo.config(MODEL, initializer_range=0.3), seed=1)
    together, by_itself = padded_and_alone(kit, model, 1, SHORT)
    assert not np.allclose(together, by_itself, rtol=1e-2, atol=1e-3)
    whole, by_itself = padded_and_alone(kit, model, 0, SAMPLES)
    np.testing.assert_allclose(whole, by_itself, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", AUDIO)
def test_what_padding_holds_cannot_be_felt(loaded, kit, name):
    model, clips = loaded(name), heard()
    changed = clips["input_values"].copy()
    changed[1, SHORT:] += 3.0
    first, second = (kit.call(model, **clips | {"input_values": values}) for values in (clips["input_values"], changed))
    frames = model.config.frames(SHORT)
    first, second = (kit.numpy(zoo.main(out)) for out in (first, second))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1][:frames], second[1][:frames])


@pytest.mark.parametrize("fields", [{}, ADAPTER], ids=["plain", "adapter"])
def test_the_mask_of_frames_is_an_output_beside_the_others(public, kit, fields):
    model = public(CTC)(zoo.config(CTC, **fields))
    config, clips = model.config, heard()
    out = kit.call(model, **clips)
    steps = [int(config.steps(config.frames(length))) for length in (SAMPLES, SHORT)]
    expected = np.arange(steps[0])[None] < np.array(steps)[:, None]
    np.testing.assert_array_equal(kit.numpy(out.frame_attention_mask), expected)
    assert list(out) == ["logits"]
    assert kit.once(model, input_values=clips["input_values"]).frame_attention_mask is None


def test_the_loss_of_padded_frames_counts_unless_padding_is_exact(public, kit):
    labels = np.random.default_rng(3).integers(0, 4, (2, 18)).astype(np.int32)
    other = labels.copy()
    other[1, -3:] = (other[1, -3:] + 1) % 4
    for mode, differs in (("published", True), ("exact", False)):
        model = public(FRAMES)(zoo.config(FRAMES, padding_mode=mode, num_labels=4), seed=1)
        first, second = (float(kit.call(model, **heard(), labels=given).loss) for given in (labels, other))
        assert (first != second) is differs


# What training draws


def training(public, name, **fields):
    settings = {"mask_time_prob": 0.4, "mask_time_length": 3, "apply_spec_augment": True, "initializer_range": 0.3}
    return public(name)(zoo.config(name, **{**settings, **fields}), seed=1)


def test_masked_frames_cannot_be_felt(public, kit):
    """With no convolution of positions around them, and of features the others alone."""
    model, clips = training(public, MODEL), heard()
    masks = np.zeros((2, 18), bool)
    masks[:, 5:11] = True
    changed = clips["input_values"].copy()
    changed[:, 14:16] += 5.0  # what only frames 5 to 10 see
    given = {"mask_time_indices": masks}
    first, second = (kit.call(model, input_values=x, **given) for x in (clips["input_values"], changed))
    np.testing.assert_array_equal(kit.numpy(first.last_hidden_state), kit.numpy(second.last_hidden_state))
    assert not np.array_equal(kit.numpy(first.extract_features), kit.numpy(second.extract_features))


def test_skipped_layers_hand_their_input_on(public, kit):
    model = training(public, MODEL)
    kept = np.array([True, False])
    out = kit.call(model, **heard(), kept_layers=kept, output_hidden_states=True, output_attentions=True)
    np.testing.assert_array_equal(kit.numpy(out.hidden_states[1]), kit.numpy(out.hidden_states[2]))
    assert not np.array_equal(kit.numpy(out.hidden_states[0]), kit.numpy(out.hidden_states[1]))
    assert not kit.numpy(out.attentions[1]).any()


@pytest.mark.parametrize(
    "fields", [{"layerdrop": 0.5}, {"mask_feature_prob": 0.5, "mask_feature_length": 2}, {}], ids=str
)
def test_training_draws_and_inference_does_not(public, kit, fields):
    model = kit.seeded(lambda: training(public, MODEL, **fields), 3)
    still = kit.numpy(kit.call(model, **heard()).last_hidden_state)
    np.testing.assert_array_equal(still, kit.numpy(kit.call(model, **heard()).last_hidden_state))
    found = [kit.numpy(kit.drawn(model, seed, **heard()).last_hidden_state) for seed in range(3)]
    for one, other in itertools.combinations([still, *found], 2):
        assert not np.array_equal(one, other)


def test_what_is_drawn_is_what_numpy_draws_of_a_seed(public, kit, monkeypatch):
    """The arrays that a call in training computes with are those of `masking.drawn`, of the clips' own frames."""
    model, seen = training(public, MODEL, layerdrop=0.5), []

    def noted(config, lengths, frames, seed):
        made = original(config, lengths, frames, seed)
        seen.append((np.asarray(lengths).tolist(), frames, made))
        return made

    original = masking.drawn
    monkeypatch.setattr(masking, "drawn", noted)
    found = kit.numpy(kit.drawn(model, 1, **heard()).last_hidden_state)
    (lengths, frames, made), *_ = seen
    assert (lengths, frames) == ([18, 13], 18)
    given = kit.numpy(kit.call(model, **heard(), **made).last_hidden_state)
    np.testing.assert_allclose(found, given, rtol=1e-5, atol=1e-5)


def test_gradient_checkpointing_changes_nothing_of_what_is_drawn(public, kit):
    """Masks, skipped layers and dropout are those of the first computation."""
    given, answers = heard() | {"labels": np.array([[1, 2, 3], [4, 4, -100]], np.int32)}, []
    for recompute in (False, True):
        model = kit.seeded(lambda: training(public, CTC, layerdrop=0.5, hidden_dropout=0.3), 3)
        if recompute:
            model.gradient_checkpointing_enable()
        answers.append(kit.gradients(model, given, seed=3))
    (loss, found), (again, recomputed) = answers
    assert loss == pytest.approx(again, rel=1e-5)
    assert found.keys() == recomputed.keys()
    for key, gradient in found.items():
        np.testing.assert_allclose(recomputed[key], gradient, rtol=1e-3, atol=1e-4, err_msg=key)


def test_a_frozen_feature_encoder_learns_nothing(public, kit):
    model = public(CTC)(zoo.config(CTC))
    given = heard() | {"labels": np.array([[1, 2, 3], [4, 4, -100]], np.int32)}
    _, free = kit.gradients(model, given)
    assert np.any(free["model.features.layers.0.conv.weight"])
    model.freeze_feature_encoder()
    if kit.NAME == "flax":
        _, found = kit.gradients(model, given)
    else:
        learns = {n for n, t in model.named_tensors().items() if (t.requires_grad if kit.NAME == "pt" else t.trainable)}
        found = {name: gradient for name, gradient in free.items() if name in learns}
    of_features = [name for name in found if ".features." in name and np.any(found[name])]
    assert not of_features
    assert np.any(found["model.projection.dense.weight"])


def test_a_frozen_base_model_leaves_the_head_to_learn(public, kit):
    model = public(SEQUENCE)(zoo.config(SEQUENCE))
    given = heard() | {"labels": np.array([1, 0], np.int32)}
    _, free = kit.gradients(model, given)
    model.freeze_feature_encoder()
    model.freeze_base_model()
    if kit.NAME == "flax":
        _, found = kit.gradients(model, given)
        learns = {name for name, gradient in found.items() if np.any(gradient)}
    else:
        learns = {n for n, t in model.named_tensors().items() if (t.requires_grad if kit.NAME == "pt" else t.trainable)}
    assert learns == {name for name in free if not name.startswith("model.")}
    with pytest.raises(ValueError, match="freeze_base_model: expected a model with a head, got Data2VecAudioModel"):
        public(MODEL)(zoo.config(MODEL)).freeze_base_model()


# CTC


def enumerated(scores, labels, blank=0):
    """The loss of one clip by the probability of every path that reads as `labels`."""
    total = 0.0
    for path in itertools.product(range(scores.shape[1]), repeat=len(scores)):
        read = [c for i, c in enumerate(path) if c != blank and (i == 0 or c != path[i - 1])]
        if read == list(labels):
            total += np.exp(sum(scores[i, c] for i, c in enumerate(path)))
    return -np.log(total) if total else np.inf


ROWS = [([1, 2], 5), ([2, 2], 4), ([], 3), ([1, 2, 1], 5), ([2, 2, 2], 4), ([2], 1)]
"""(labels, frames); the last but one has no alignment."""


def ctc(kit, rows, **options):
    logits = np.random.default_rng(0).normal(0.0, 2.0, (len(rows), 5, 3))
    labels = np.full((len(rows), 4), -100, np.int32)
    for row, (given, _) in enumerate(rows):
        labels[row, [0, 2, 3][: len(given)]] = given  # what is ignored may stand between the others
    lengths = np.array([frames for _, frames in rows], np.int32)
    module = importlib.import_module(f"multimodal.{kit.NAME}.losses")
    logits = logits.astype(np.float32)
    found = module.ctc(*map(kit.array, (logits, lengths, labels)), **{"blank": 0, "zero_infinity": False, **options})
    wide = logits.astype(np.float64)
    scores = wide - np.log(np.exp(wide).sum(-1, keepdims=True))
    return float(found), [enumerated(scores[i, :frames], given) for i, (given, frames) in enumerate(rows)]


def test_ctc_is_the_probability_of_every_path(kit):
    possible = [row for row in ROWS if row[0] != [2, 2, 2]]
    found, each = ctc(kit, possible, reduction="sum")
    assert found == pytest.approx(sum(each), rel=1e-5)
    found, each = ctc(kit, possible, reduction="mean")
    assert found == pytest.approx(
        np.mean([loss / max(len(given), 1) for loss, (given, _) in zip(each, possible)]), rel=1e-5
    )
    found, each = ctc(kit, ROWS, reduction="sum", zero_infinity=True)
    assert found == pytest.approx(sum(loss for loss in each if np.isfinite(loss)), rel=1e-5)
    assert ctc(kit, ROWS, reduction="sum")[0] == np.inf


# Bad clips


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        (MODEL, {"input_values": np.zeros((2, 4), np.float32)}, ["input_values", "at least 5 samples", "got 4"]),
        (MODEL, {"input_values": np.zeros((2, 0), np.float32)}, ["input_values", "at least 5 samples", "got 0"]),
        (XVECTOR, {"input_values": np.zeros((2, 14), np.float32)}, ["input_values", "at least 15 samples", "got 14"]),
        (MODEL, {"mask": (1, 4)}, ["attention_mask", "at least 5 samples of sound", "got 4 in row 1"]),
        (MODEL, {"left": True}, ["attention_mask", "ones and then zeros", "row 0"]),
        (MODEL, {"nan": True}, ["input_values", "finite", "nan"]),
        (MODEL, {"attention_mask": np.ones((2, 39), np.int32)}, ["attention_mask", "samples=40", "got (2, 39)"]),
        (CTC, {"labels": np.ones((2, 8), np.int32)}, ["labels", "13 in row 1", "got 15"]),
        (MODEL, {"mask_time_indices": np.ones((2, 19), bool)}, ["mask_time_indices", "frames=18", "got (2, 19)"]),
    ],
)  # fmt: skip
def test_a_bad_clip_is_refused(loaded, kit, name, change, words):
    model, given = loaded(name), heard()
    if "mask" in change:
        row, length = change["mask"]
        given["attention_mask"][row, length:] = 0
    elif "left" in change:
        given["attention_mask"] = given["attention_mask"][::-1, ::-1].copy()
    elif "nan" in change:
        given["input_values"][0, 3] = np.nan
    else:
        given |= change
    if "input_values" in change:
        del given["attention_mask"]
    with pytest.raises(ValueError, match="expected") as caught:
        kit.call(model, **given)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_too_many_labels_count_nothing_where_that_is_asked_for(public, kit):
    model = public(CTC)(zoo.config(CTC, ctc_zero_infinity=True))
    labels = np.ones((2, 12), np.int32)
    assert float(kit.call(model, **heard(), labels=labels).loss) == 0.0


def test_a_model_without_a_vector_for_masks_takes_none(public, kit):
    model = public(MODEL)(zoo.config(MODEL, mask_time_prob=0.0))
    with pytest.raises(ValueError, match="mask_time_indices: expected a model with mask embedding"):
        kit.call(model, **heard(), mask_time_indices=np.ones((2, 18), bool))


@pytest.mark.parametrize("name", AUDIO)
def test_a_model_of_sound_has_no_embeddings(loaded, name):
    for call in (loaded(name).get_input_embeddings, lambda: loaded(name).resize_token_embeddings(7)):
        with pytest.raises(ValueError, match="expected a model of text or of images"):
            call()
