"""What a task can be given, and what it says of everything else."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.numpy import load_file, save_file

import multimodal
from multimodal import AlignModel, Data2VecVisionForImageClassification, Data2VecVisionModel, tasks

ROOT = Path(__file__).parents[2]
FILE = "model.safetensors"


def test_the_tasks_are_reached_as_attributes_and_load_no_framework():
    code = (
        "import sys, multimodal; multimodal.tasks.image_search; "
        "print([m for m in ('torch', 'tensorflow', 'jax') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "[]\n", done.stderr


def test_every_name_of_the_package_is_there():
    assert set(tasks.__all__) <= set(dir(tasks))
    assert all(callable(getattr(tasks, name)) for name in tasks.__all__)
    assert "tasks" in dir(multimodal)
    with pytest.raises(AttributeError, match="did you mean 'image_search'"):
        tasks.image_serch  # noqa: B018


def test_a_file_called_like_a_task_would_hide_it():
    files = {path.stem for path in Path(tasks.__file__).parent.glob("*.py")}
    assert not files & set(tasks.__all__)


def test_a_name_a_folder_and_a_live_model_give_the_same(classifier, pictures):
    model = Data2VecVisionForImageClassification.from_pretrained(classifier)
    loaded = tasks.load(classifier, "image_classification", "pt")
    wanted = tasks.image_classification(str(classifier), pictures)
    for given in (classifier, model, loaded):
        assert tasks.image_classification(given, pictures) == wanted


def test_a_live_model_in_training_is_used_as_it_predicts_and_stays_in_training(classifier, pictures):
    model = Data2VecVisionForImageClassification.from_pretrained(classifier)
    model.train()
    model.network.head.eval()
    modes = [module.training for module in model.modules()]
    found = tasks.image_classification(model, pictures)
    assert found == tasks.image_classification(classifier, pictures)
    assert [module.training for module in model.modules()] == modes
    assert all(p.grad is None for p in model.parameters())


def test_a_live_model_of_another_type_is_given_its_own(classifier, pictures):
    model = Data2VecVisionForImageClassification.from_pretrained(classifier, dtype=torch.bfloat16)
    (narrow, *_), (wide, *_) = (tasks.image_classification(m, pictures[:1]) for m in (model, classifier))
    assert {entry.label: round(entry.score, 1) for entry in narrow} == {e.label: round(e.score, 1) for e in wide}


@pytest.mark.parametrize(
    ("task", "folder", "message"),
    [
        ("image_classification", "align", "for image_classification, a model_type among data2vec-vision, got 'align'"),
        ("image_search", "segmenter", "for image_search, a model_type among align, got 'data2vec-vision'"),
        ("segmentation", "classifier", "trained for segmentation .*, got one without the weights of decode_head"),
        ("image_classification", "segmenter", "trained for image_classification .* without the weights of classifier"),
    ],
)
def test_a_checkpoint_of_another_kind_is_refused_by_what_the_task_needs(task, folder, message, request, caplog):
    place = request.getfixturevalue(folder)
    with pytest.raises(ValueError, match=message) as error:
        tasks.load(place, task, "pt")
    assert str(place) in str(error.value)
    assert not caplog.records  # the error is all that is said


def test_what_loading_says_of_a_checkpoint_that_fits_is_said(classifier, segmenter, tmp_path, caplog):
    """One with both heads."""
    shutil.copytree(classifier, tmp_path / "both")
    tensors = {name: tensor for folder in (segmenter, classifier) for name, tensor in load_file(folder / FILE).items()}
    save_file(tensors, tmp_path / "both" / FILE)
    tasks.load(tmp_path / "both", "image_classification", "pt")
    assert [record.name for record in caplog.records] == ["multimodal"]
    assert "not used: this class does not have it" in caplog.text


def test_a_live_model_of_another_class_is_refused(classifier):
    model = Data2VecVisionModel.from_pretrained(classifier)
    with pytest.raises(
        ValueError, match=r"expected a Data2VecVisionForImageClassification .* got a Data2VecVisionModel"
    ):
        tasks.load(model, "image_classification")


def test_a_live_model_that_has_no_processors_is_refused(align):
    model = AlignModel(AlignModel.from_pretrained(align).config, seed=0)
    model.config.name_or_path = ""
    with pytest.raises(ValueError, match=r"from_pretrained gave.*tasks\.Loaded\("):
        tasks.load(model, "image_search")


def test_what_is_loaded_without_a_tokenizer_is_refused_where_there_is_text(align):
    loaded = tasks.load(align, "image_search", "pt")
    with pytest.raises(ValueError, match="expected a tokenizer beside the model"):
        tasks.load(tasks.Loaded(loaded.model, "pt", loaded.image_processor), "image_search")


@pytest.mark.parametrize(
    ("given", "task", "backend", "message"),
    [
        (3, "segmentation", None, "expected a checkpoint's folder or name, or a model of it, got int"),
        ("digit-lines", "reading", None, "task: expected one of image_to_text"),
        ("digit-lines", "image_to_text", "mxnet", "backend: expected one of pt, tf, flax, got 'mxnet'"),
        ("no/such/folder", "image_to_text", None, "no/such/folder"),
    ],
)
def test_anything_else_is_an_error_that_names_it(given, task, backend, message):
    with pytest.raises(ValueError, match=message):
        tasks.load(given, task, backend)


def test_a_loaded_model_is_not_used_in_another_backend(classifier, pictures):
    loaded = tasks.load(classifier, "image_classification", "pt")
    with pytest.raises(ValueError, match="backend: expected 'pt', which the model is of, got 'flax'"):
        tasks.image_classification(loaded, pictures, backend="flax")
