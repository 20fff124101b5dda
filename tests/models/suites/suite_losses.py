"""The losses are their formulas, in NumPy and float64."""

import importlib

import numpy as np
import pytest

BATCH, LENGTH, CLASSES = 3, 5, 7


@pytest.fixture(scope="module")
def loss(kit):
    """`loss(name, *arrays)`: a function of the backend's `losses`, from NumPy to NumPy."""
    return lambda name, *given: called(kit, "losses", name, *given)


@pytest.fixture(scope="module")
def lxmert_loss(kit):
    """`lxmert_loss(name, *arrays)`: one of those that LXMERT alone has."""
    return lambda name, *given: called(kit, "models.lxmert", name, *given)


def called(kit, path, name, *given):
    module = importlib.import_module(f"multimodal.{kit.NAME}.{path}")
    return kit.numpy(getattr(module, name)(*map(kit.array, given)))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def normal(rng, *shape, scale=2.0):
    return rng.normal(0.0, scale, shape).astype(np.float32)


def each_cross_entropy(logits, labels):
    """Zero for labels that are negative."""
    logits = logits.astype(np.float64)
    scores = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    chosen = np.take_along_axis(scores, np.maximum(labels, 0)[..., None], -1)[..., 0]
    return np.where(labels >= 0, -chosen, 0.0)


def cross_entropy(logits, labels):
    return each_cross_entropy(logits, labels).sum() / (labels >= 0).sum()


def binary(scores, shares):
    scores = scores.astype(np.float64)
    return np.logaddexp(0.0, scores) - scores * shares


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def labels_of(rng, *shape):
    """Some of them are ignored: by the published -100, and by other negative ones."""
    labels = rng.integers(0, CLASSES, shape).astype(np.int32)
    labels.flat[0], labels.flat[-1] = -100, -1
    return labels


def test_cross_entropy_is_the_mean_over_labels_that_are_not_negative(loss, rng):
    logits, labels = normal(rng, BATCH, LENGTH, CLASSES), labels_of(rng, BATCH, LENGTH)
    close(loss("cross_entropy", logits, labels), cross_entropy(logits, labels))
    close(loss("each_cross_entropy", logits, labels), each_cross_entropy(logits, labels))


def test_cross_entropy_of_large_scores_is_finite(loss):
    logits = np.array([[500.0, 0.0, -500.0]] * 2, np.float32)
    close(loss("cross_entropy", logits, np.array([0, 2], np.int32)), 500.0)


def test_a_language_model_s_labels_are_those_of_the_next_position(loss, rng):
    logits, labels = normal(rng, BATCH, LENGTH, CLASSES), labels_of(rng, BATCH, LENGTH)
    close(loss("next_token", logits, labels), cross_entropy(logits[:, :-1], labels[:, 1:]))


def test_decoder_inputs_are_the_labels_one_to_the_right(loss):
    labels = np.array([[4, 5, -100, 6], [7, -1, 8, -100]], np.int32)
    np.testing.assert_array_equal(loss("shift_right", labels, 0, 2), [[2, 4, 5, 0], [2, 7, 0, 8]])


def test_distances_are_squared_and_halved_below_one(loss, rng):
    values, targets = normal(rng, BATCH, LENGTH, CLASSES), normal(rng, BATCH, LENGTH, CLASSES, scale=0.5)
    distance = np.abs(values.astype(np.float64) - targets)
    assert (distance < 1).any()
    assert (distance > 1).any()
    expected = np.where(distance < 1, distance**2 / 2, distance - 0.5).mean(-1)
    close(loss("each_smooth_l1", values, targets), expected)


def test_a_loss_of_objects_counts_as_much_as_the_detector_is_sure(lxmert_loss, rng):
    each, confidences = normal(rng, BATCH, LENGTH), rng.uniform(size=(BATCH, LENGTH)).astype(np.float32)
    close(lxmert_loss("confident", each, confidences), (each.astype(np.float64) * confidences).mean())


def test_answers_are_class_ids_or_a_share_of_each(lxmert_loss, rng):
    scores, labels = normal(rng, BATCH, CLASSES), np.array([-100, 4, 6], np.int32)
    close(lxmert_loss("answers", scores, labels), cross_entropy(scores, labels))
    shares = rng.uniform(size=(BATCH, CLASSES)).astype(np.float32)
    close(lxmert_loss("answers", scores, shares), binary(scores, shares).sum(-1).mean())
    far = np.array([[200.0, -200.0]], np.float32)
    close(lxmert_loss("answers", far, np.array([[0.0, 1.0]], np.float32)), 400.0)


def test_a_classifier_s_loss_follows_from_its_problem(loss, rng):
    scores, shares = normal(rng, BATCH, CLASSES), rng.uniform(size=(BATCH, CLASSES)).astype(np.float32)
    labels = np.array([5, -100, 0], np.int32)
    close(loss("by_problem", "single_label_classification", scores, labels), cross_entropy(scores, labels))
    close(loss("by_problem", "multi_label_classification", scores, shares), binary(scores, shares).mean())
    close(loss("by_problem", "regression", scores, shares), ((scores.astype(np.float64) - shares) ** 2).mean())
    one = normal(rng, BATCH, 1)
    close(loss("by_problem", "regression", one, shares[:, 0]), ((one[:, 0] - shares[:, 0]) ** 2).mean())


def test_a_span_s_loss_is_the_mean_of_its_ends_inside_the_sequence(loss, rng):
    starts, ends = normal(rng, BATCH, LENGTH), normal(rng, BATCH, LENGTH)
    first, last = np.array([0, 4, 5], np.int32), np.array([[2], [9], [-1]], np.int32)
    kept_first, kept_last = np.array([0, 4, -100]), np.array([2, -100, -100])
    expected = (cross_entropy(starts, kept_first) + cross_entropy(ends, kept_last)) / 2
    close(loss("span", starts, ends, first, last), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_contrast_is_the_mean_of_rows_and_of_columns(kit, rng, smoothing):
    logits = normal(rng, BATCH, BATCH)
    module = importlib.import_module(f"multimodal.{kit.NAME}.losses")
    expected = []
    for scores in (logits.astype(np.float64), logits.T.astype(np.float64)):
        logarithms = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
        expected.append(-((1 - smoothing) * np.diag(logarithms) + smoothing * logarithms.mean(-1)).mean())
    assert abs(expected[0] - expected[1]) > 0.05
    close(kit.numpy(module.contrastive(kit.array(logits), smoothing)), np.mean(expected))
