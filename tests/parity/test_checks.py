"""The checks of one checkpoint: what passes, what a deliberate fault looks like, and what cannot run."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from multimodal.auto import AutoConfig
from multimodal.parity import true_inputs
from multimodal.parity.cases import CASES
from multimodal.parity.cells import CHECKS, ERROR, FAILED, PASSED
from multimodal.parity.checks import chosen, command_arguments, run_checks
from multimodal.parity.gates import Question
from multimodal.parity.subject import Subject, drawn
from multimodal.registry import BACKENDS

_spec = importlib.util.spec_from_file_location("dashboard", Path(__file__).with_name("dashboard.py"))
CASES_BY_NAME = {case.name: case for case in CASES}
dashboard = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(dashboard)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return dashboard.save_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture(scope="module")
def cells(folder):
    """All checks in PyTorch; three in Flax, with a fault in the decoder's second block."""
    subject = Subject.load(folder)
    faults = {"flax": dashboard.SECOND_BLOCK}
    arguments = command_arguments("tiny")
    found = run_checks(subject, ("pt",), arguments=arguments, faults=faults)
    found += run_checks(subject, ("flax",), ("semantics", "weights", "generation"), arguments=arguments, faults=faults)
    return {(cell.backend, cell.check): cell for cell in found}


def outcome(cell):
    """Everything that a cell says but how long it took and how it was asked for."""
    return {k: v for k, v in vars(cell).items() if k not in ("seconds", "command")}


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_alone_says_what_it_says_behind_the_others(check, cells, folder):
    """The model has dropout, so that a mode left over from another check shows."""
    assert max(dashboard.CASE.config["decoder"][rate] for rate in ("resid_pdrop", "embd_pdrop", "attn_pdrop")) > 0
    (alone,) = run_checks(Subject.load(folder), ("pt",), (check,))
    assert outcome(alone) == outcome(cells["pt", check])


def test_checks_say_the_same_in_the_opposite_order(cells, folder):
    found = run_checks(Subject.load(folder), ("pt",), tuple(reversed(CHECKS)))
    assert [outcome(cell) for cell in found] == [outcome(cells["pt", cell.check]) for cell in found]


def test_generation_with_a_fault_fails_at_a_token(cells):
    cell = cells["flax", "generation"]
    assert cell.state == FAILED
    assert cell.where.startswith("token ")
    assert cell.how.startswith("expected ")


def test_a_sound_backend_passes_every_check(cells):
    states = {check: cells["pt", check].state for check in CHECKS}
    assert states == dict.fromkeys(CHECKS, PASSED), [cells["pt", c].over[:3] for c in CHECKS]


def test_pytorch_in_float64_says_that_it_is_held_against_itself(cells):
    cell = cells["pt", "semantics"]
    assert "fused attention" in cell.note
    assert cell.worst.error > 0, "the second path is another program, not the same one again"
    assert not any("attentions" in name for name in cell.tensors)


def test_fused_attention_in_training_has_the_mean_of_the_explicit_one(workers):
    """PyTorch's two paths, where a dropout that one of them lacks would show."""
    question = Question.drawn(dashboard.CASE, seed=7, train=True)
    worker = workers["pt", "float64"]
    explicit, fused = (question.ask(worker, gradients=False, output_attentions=shown) for shown in (True, False))
    assert "out.decoder_attentions.0" in explicit
    assert "out.decoder_attentions.0" not in fused
    still = worker.outputs(question.case, question.weights, question.inputs)
    assert np.linalg.norm(explicit["out.logits"] - still["out.logits"]) > 1e-3 * np.linalg.norm(still["out.logits"])
    np.testing.assert_allclose(fused["out.logits"], explicit["out.logits"], rtol=1e-11, atol=1e-13)


def test_precision_runs_in_float32_and_semantics_in_float64(cells):
    assert cells["pt", "precision"].worst.error > 1e-9
    assert cells["pt", "semantics"].worst.error < 1e-12


def test_the_first_wrong_layer_is_named(cells):
    cell = cells["flax", "semantics"]
    assert cell.state == FAILED
    assert cell.where == "decoder block 2 (decoder.transformer.h.1)"
    assert "true inputs" in cell.how
    over = [point.layer for point in cell.points if not point.measure.within]
    assert over == ["decoder block 2", "logits", "loss"]


def test_the_changed_tensor_is_named(cells):
    cell = cells["flax", "weights"]
    assert (cell.state, cell.where) == (FAILED, "decoder.transformer.h.1.mlp.c_fc.weight")
    assert cell.summary.startswith("1 of ")


def test_errors_by_layer_go_through_the_encoder_then_the_decoder(cells):
    towers = [point.tower for point in cells["pt", "precision"].points]
    assert towers == ["encoder"] * 4 + ["decoder"] * 3 + [""] * 2
    assert [point.tick for point in cells["pt", "precision"].points] == [
        "emb", "1", "2", "out", "emb", "1", "2", "logits", "loss",
    ]  # fmt: skip


def test_every_cell_has_the_command_that_reruns_it_alone(cells):
    for (backend, check), cell in cells.items():
        assert cell.command == f"multimodal parity tiny --backends {backend} --checks {check}"


def test_what_does_not_run_is_an_error_with_one_line_of_reason(folder, tmp_path):
    file = tmp_path / "in.safetensors"
    save_file({"pixel_values": np.zeros((2, 3, 9, 9)), "labels": np.zeros((2, 3), np.int64)}, file)
    (cell,) = run_checks(Subject.load(folder, file), ("pt",), ("precision",))
    assert cell.state == ERROR
    assert "pixel_values" in cell.reason
    assert "\n" not in cell.reason


def test_gradients_of_inputs_without_labels_are_compared_in_every_backend(folder, tmp_path):
    file = tmp_path / "in.safetensors"
    given = CASES_BY_NAME["vit-gpt2"].inputs(seed=4)
    save_file({name: array for name, array in given.items() if name != "labels"}, file)
    found = run_checks(Subject.load(folder, file), BACKENDS, ("semantics-gradients", "precision-gradients"))
    assert {(cell.backend, cell.check): (cell.state, cell.reason) for cell in found} == {
        (backend, check): (PASSED, "")
        for backend in BACKENDS
        for check in ("semantics-gradients", "precision-gradients")
    }


def test_inputs_from_a_file_have_to_be_arguments_of_the_class(folder, tmp_path):
    save_file({"pixels": np.zeros(2)}, tmp_path / "in.safetensors")
    with pytest.raises(ValueError, match="pixels"):
        Subject.load(folder, tmp_path / "in.safetensors")


def test_only_some_backends_and_checks_can_be_asked_for():
    assert chosen("flax, pt", BACKENDS, "backends") == ("pt", "flax")
    assert chosen(None, BACKENDS, "backends") == BACKENDS
    for wrong in ("jax", ""):
        with pytest.raises(ValueError, match="backends: expected some of pt, tf, flax"):
            chosen(wrong, BACKENDS, "backends")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_inputs_are_drawn_for_every_class(case):
    sizes, arguments = drawn(case.spec, AutoConfig.from_dict(case.config))
    assert sizes["length"] <= 16
    for group in case.spec.exactly_one:
        assert sum(name in arguments for name in group) == 1, (group, arguments)


@pytest.mark.parametrize("backend", BACKENDS)
def test_blocks_that_are_fed_the_true_inputs_do_not_pass_errors_on(backend, workers):
    case = dashboard.CASE
    question = Question.drawn(case, seed=7)
    truth = question.truth(workers["pt", "float64"])
    fed = true_inputs.inputs(question.ask(workers["pt", "float64"], gradients=False, true_inputs={}))
    wrong = {**question.weights}
    name = "encoder.encoder.layer.0.output.dense.weight"
    wrong[name] = np.roll(wrong[name], 1, axis=0)
    outputs = {
        bool(given): workers[backend, "float64"].outputs(
            case, wrong, question.inputs, output_hidden_states=True, true_inputs=given
        )
        for given in ({}, fed)
    }

    def far(output, tensor):
        return np.linalg.norm(output[tensor] - truth[tensor]) > 1e-6 * np.linalg.norm(truth[tensor])

    first, second = "out.encoder_hidden_states.1", "out.encoder_hidden_states.2"
    assert far(outputs[False], first)
    assert far(outputs[False], second)
    assert far(outputs[True], first)
    assert not far(outputs[True], second)
