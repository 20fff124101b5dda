"""Models inside of what PyTorch puts around modules: several processes, several devices, recorded programs."""

import contextlib
import subprocess
import sys
import warnings
from pathlib import Path
from unittest import mock

import kit_pt
import pytest
import torch
import zoo

WORKER = Path(__file__).parents[1] / "support" / "distributed.py"
PROCESSES = 2
MECHANISMS = ["BertModel", "GPT2LMHeadModel", "LxmertForPreTraining", "ViTModel", zoo.COMPOSITE]


def tensors(name, config, seed=1, *more, **sizes):
    return {key: kit_pt.array(array) for key, array in zoo.inputs(name, config, seed, *more, **sizes).items()}


def stepped(work):
    """{name: gradient} behind two steps in this process alone."""
    model, inputs = work["model"], work["inputs"]
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        model(**inputs).loss.backward()
        optimiser.step()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def text_model(public):
    return public("GPT2LMHeadModel")(zoo.half("gpt2", add_cross_attention=False), seed=1)


def composite(public, **options):
    encoder = public("ViTModel")(zoo.half("vit"), seed=1, **options)
    decoder = public("GPT2LMHeadModel")(zoo.half("gpt2"), seed=2)
    return public(zoo.COMPOSITE)(zoo.config(zoo.COMPOSITE), encoder=encoder, decoder=decoder)


CASES = {
    "text": (text_model, {}),
    "text, static": (text_model, {"static_graph": True}),
    "composite": (lambda public: composite(public, add_pooling_layer=False), {}),
    "composite with a pooler": (composite, {"find_unused_parameters": True}),  # nothing asks for what it pools
}


@pytest.fixture(scope="module")
def shared(public, tmp_path_factory):
    """{case: (gradients of each process, gradients of one process)}; no process outlives it."""
    folder, works = tmp_path_factory.mktemp("processes"), {}
    for case, (make, options) in CASES.items():
        model = make(public)
        works[case] = {
            "model": model,
            "inputs": tensors(model.spec.name, model.config, 1, "labels"),
            "options": options,
        }
    torch.save(works, folder / "works.pt")
    with contextlib.ExitStack() as stack:
        started = []
        for process in range(PROCESSES):
            printed = stack.enter_context((folder / f"printed-{process}.txt").open("w"))
            command = [sys.executable, str(WORKER), str(process), str(PROCESSES), str(folder)]
            started.append(stack.enter_context(subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT)))
            stack.callback(started[-1].kill)
        codes = [process.wait(timeout=240) for process in started]
    assert codes == [0] * PROCESSES, [path.read_text()[-4000:] for path in sorted(folder.glob("printed-*"))]
    found = [torch.load(folder / f"gradients-{process}.pt") for process in range(PROCESSES)]
    return {case: ([gradients[case] for gradients in found], stepped(work)) for case, work in works.items()}


@pytest.mark.parametrize("case", CASES)
def test_processes_that_share_a_batch_have_the_gradients_of_one_that_has_it_all(shared, case):
    """Behind a step, so that parameters went on alike too; that outputs are the public ones, the processes see to."""
    found, expected = shared[case]
    for gradients in found:
        assert gradients.keys() == expected.keys()
        for key, gradient in expected.items():
            if gradient is not None:
                torch.testing.assert_close(gradients[key], gradient, rtol=1e-4, atol=1e-6, msg=key)
            else:
                assert gradients[key] is None or not gradients[key].any(), key
    assert sum(gradient is not None for gradient in expected.values()) > 20


@pytest.mark.parametrize("name", MECHANISMS)
def test_data_parallel_gives_what_the_model_gives(loaded, name):
    model = loaded(name)
    given = tensors(name, model.config)
    output, expected = torch.nn.DataParallel(model)(**given), model(**given)
    assert type(output) is type(expected)
    torch.testing.assert_close(output.to_tuple(), expected.to_tuple())


class Scores(torch.nn.Module):
    """A module of somebody else with a model of ours inside."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids):
        return self.model(ids, return_dict=False, use_cache=False)[0]


class TestTraced:
    """`torch.jit.trace`, which old serving code calls."""

    @pytest.fixture(autouse=True)
    def quiet(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, of torch.jit.trace
            warnings.simplefilter("ignore", torch.jit.TracerWarning)  # pyright: ignore[reportPrivateImportUsage]  # sizes that decide something
            yield

    @pytest.mark.parametrize("name", MECHANISMS)
    def test_a_recorded_program_computes_what_the_model_does_for_other_values_and_sizes_too(self, load, name):
        model = load(name)
        model.config.return_dict = False
        program = torch.jit.trace(model, example_kwarg_inputs=tensors(name, model.config), strict=False)
        for given in (
            tensors(name, model.config, 5),
            tensors(name, model.config, 6, length=8),
            {key: tensor[:1] for key, tensor in tensors(name, model.config, 7).items()},
        ):
            torch.testing.assert_close(program(**given), model(**given), rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("name", MECHANISMS)
    def test_a_model_of_torchscript_gives_tuples_by_itself(self, load, name):
        model = load(name)
        model.config.torchscript = True
        given = tensors(name, model.config)
        program = torch.jit.trace(model, example_kwarg_inputs=given, strict=False)
        torch.testing.assert_close(program(**given), model(**given))
        assert type(model(**given)) is tuple

    def test_nothing_is_checked_while_a_program_is_recorded(self, load):
        """A value that is looked at would be a constant of the program."""
        model = load("BertModel")
        model.config.return_dict = False
        given = tensors("BertModel", model.config)
        with mock.patch.object(type(model), "_extent", side_effect=AssertionError("looked at")):
            torch.jit.trace(model, example_kwarg_inputs=given, strict=False, check_trace=False)
            with pytest.raises(AssertionError, match="looked at"):
                model(**given)

    def test_arguments_by_position_and_return_dict_by_the_configuration(self, load, tmp_path):
        model = load("BertModel")
        given = tensors("BertModel", model.config)
        example = (given["input_ids"], torch.ones_like(given["input_ids"]))
        model.config.return_dict = False
        program = torch.jit.trace(model, example, strict=False)
        torch.jit.save(program, tmp_path / "program.pt")
        again = torch.jit.load(tmp_path / "program.pt")
        torch.testing.assert_close(again(*example), model(*example))

    def test_a_module_that_has_a_model_inside_asks_it_for_all_its_attributes(self, load):
        model = load("BartForCausalLM")
        ids = torch.tensor([[5, 7, 9]])
        program = torch.jit.trace(Scores(model), ids)
        torch.testing.assert_close(program(ids), model(ids).logits)

    @pytest.mark.parametrize("name", MECHANISMS)
    def test_outputs_that_are_no_tuples_are_refused_by_name(self, loaded, name):
        model = loaded(name)
        given = tensors(name, model.config)
        with pytest.raises(ValueError, match=r"return_dict: inside of torch\.jit\.trace expected False .*, got True"):
            torch.jit.trace(model, example_kwarg_inputs=given, strict=False)
