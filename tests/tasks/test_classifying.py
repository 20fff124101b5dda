"""Classification, by classes that were learned and by texts: probabilities of the model's own scores, the best first."""

import numpy as np
import pytest
import torch

from multimodal import AlignModel, AutoImageProcessor, AutoTokenizer, Data2VecVisionForImageClassification, tasks
from multimodal.tasks import classifying

LABELS = ["red", "green", "blue", "red blue"]


def logits_of(folder, pictures):
    """The scores of a classifier as its users compute them."""
    pixels = AutoImageProcessor.from_pretrained(folder)(pictures, return_tensors="pt")
    with torch.no_grad():
        return Data2VecVisionForImageClassification.from_pretrained(folder)(**pixels).logits


def test_labels_are_the_classes_with_their_probabilities_the_best_first(classifier, pictures):
    wanted = logits_of(classifier, pictures).softmax(-1).numpy()
    found = tasks.image_classification(classifier, pictures)
    names = Data2VecVisionForImageClassification.from_pretrained(classifier).config.id2label
    for ranked, row in zip(found, wanted):
        assert [entry.label for entry in ranked] == [names[i] for i in np.argsort(-row)]
        np.testing.assert_allclose([entry.score for entry in ranked], np.sort(row)[::-1], rtol=1e-4)
        assert sum(entry.score for entry in ranked) == pytest.approx(1)
    assert len({ranked[0] for ranked in found}) > 1


def test_only_the_best_are_given(classifier, pictures):
    whole = tasks.image_classification(classifier, pictures)
    assert tasks.image_classification(classifier, pictures, top_k=2) == [ranked[:2] for ranked in whole]


@pytest.mark.parametrize(
    ("problem", "function"),
    [
        ("multi_label_classification", torch.sigmoid),
        ("regression", lambda logits: logits),
        (None, lambda x: x.softmax(-1)),
    ],
)
def test_scores_are_what_the_problem_makes_of_them(classifier, pictures, problem, function):
    model = Data2VecVisionForImageClassification.from_pretrained(classifier)
    model.config.problem_type = problem
    wanted = function(logits_of(classifier, pictures[:1]))[0]
    (found,) = tasks.image_classification(model, pictures[:1])
    scores = {entry.label: entry.score for entry in found}
    for index, label in model.config.id2label.items():
        assert scores[label] == pytest.approx(float(wanted[index]), rel=1e-4)


def test_equal_scores_go_by_the_number_of_the_class():
    found = classifying.ranked(np.array([0.25, 0.5, 0.25, 0.5]), "abcd")
    assert [entry.label for entry in found] == ["b", "d", "a", "c"]


def test_large_scores_are_probabilities_still():
    assert classifying.softmax(np.array([[1e4, 0.0]])).tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_the_size_of_a_batch_changes_nothing(classifier, align, pictures, batch_size):
    calls = [
        lambda **options: tasks.image_classification(classifier, pictures, **options),
        lambda **options: tasks.zero_shot_classification(align, pictures, labels=LABELS, **options),
    ]
    for call in calls:
        for ranked, wanted in zip(call(batch_size=batch_size), call(batch_size=4)):
            assert [entry.label for entry in ranked] == [entry.label for entry in wanted]
            np.testing.assert_allclose([e.score for e in ranked], [e.score for e in wanted], rtol=1e-4)


@pytest.mark.parametrize("template", ["{}", "an image of {}"])
def test_given_labels_have_the_probabilities_of_the_model_s_own_scores(align, pictures, template):
    texts = [template.replace("{}", label) for label in LABELS]
    given = AutoTokenizer.from_pretrained(align)(texts, padding=True, return_tensors="pt")
    given["pixel_values"] = AutoImageProcessor.from_pretrained(align)(pictures, return_tensors="pt").pixel_values
    with torch.no_grad():
        wanted = AlignModel.from_pretrained(align)(**given).logits_per_image.softmax(-1).numpy()
    for ranked, row in zip(tasks.zero_shot_classification(align, pictures, labels=LABELS, template=template), wanted):
        assert [entry.label for entry in ranked] == [LABELS[i] for i in np.argsort(-row)]
        np.testing.assert_allclose([entry.score for entry in ranked], np.sort(row)[::-1], rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": []}, "labels: expected at least one label, each once"),
        ({"labels": ["red", "red"]}, "labels: expected at least one label, each once"),
        ({"labels": "red"}, "labels: expected a list of texts, got str"),
        ({"labels": ["red", " "]}, r"labels\[1\]: expected a text, got ' '"),
        ({"labels": ["red"], "template": "an image"}, r"template: expected a text with \{\} in it"),
        ({"labels": ["red"], "inputs": "a.png"}, "inputs: expected a list of pictures, got str"),
        ({"labels": ["red"], "inputs": [3]}, r"inputs\[0\]: expected a path, a Pillow image or an array, got int"),
        ({"labels": ["red"], "batch_size": 0}, "batch_size: expected a positive integer, got 0"),
    ],
)
def test_bad_input_is_an_error_that_names_it(align, pictures, options, message):
    with pytest.raises(ValueError, match=message):
        tasks.zero_shot_classification(align, **{"inputs": pictures, **options})


def test_no_pictures_are_no_results(classifier):
    assert tasks.image_classification(classifier, []) == []


def test_what_cannot_be_read_has_no_result_and_its_place_is_told(classifier, pictures, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"")
    failed, shown = {}, []
    given = [tmp_path / "broken.png", pictures[0], pictures[1]]
    found = tasks.image_classification(
        classifier, given, batch_size=2, on_error=failed.__setitem__, progress=lambda *done: shown.append(done)
    )
    assert found == [None, *tasks.image_classification(classifier, pictures[:2])]
    assert list(failed) == [0]
    assert "broken.png" in str(failed[0])
    assert shown == [(2, 3), (3, 3)]
    with pytest.raises(ValueError, match=r"broken\.png"):
        tasks.image_classification(classifier, given)


def test_pictures_are_paths_images_and_arrays_of_either_order(classifier, pictures, tmp_path):
    pictures[0].save(tmp_path / "picture.png")
    array = np.asarray(pictures[0])
    given = [
        tmp_path / "picture.png",
        str(tmp_path / "picture.png"),
        array,
        torch.from_numpy(array.copy()),
        array.transpose(2, 0, 1),
    ]
    wanted = tasks.image_classification(classifier, [pictures[0]] * len(given))
    assert tasks.image_classification(classifier, given) == wanted


def test_grey_pictures_are_pictures(classifier, pictures):
    grey = pictures[0].convert("L")
    array = np.asarray(grey)
    found = tasks.image_classification(classifier, [grey, array, array[..., None], array[None]])
    assert found == [found[0]] * 4


def test_pictures_that_the_processor_leaves_in_several_sizes_are_an_error(classifier, pictures):
    loaded = tasks.load(classifier, "image_classification", "pt")
    loaded.image_processor.do_resize = False
    with pytest.raises(ValueError, match=r"gives pictures one size \(do_resize\)"):
        tasks.image_classification(loaded, pictures)
