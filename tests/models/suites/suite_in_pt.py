"""What PyTorch's users expect of a module."""

import copy
import pickle
from unittest import mock

import numpy as np
import pytest
import torch
import zoo
from safetensors.numpy import load_file
from torch.utils import _pytree

from multimodal import specs
from multimodal.checkpoints import names
from multimodal.checkpoints.source import CheckpointError
from multimodal.numeric import windows
from multimodal.pt.layers import relative
from multimodal.pt.models import swin


@pytest.fixture
def model(loaded, class_name):
    return loaded(class_name)


def native(kit, given):
    return {name: kit.array(value) for name, value in given.items()}


def test_a_model_compiles_whole(load, kit, class_name):
    model = load(class_name)
    given = native(kit, zoo.inputs(class_name, model.config, 1, *zoo.LABELS, "attention_mask"))
    program = torch.compile(model, fullgraph=True, backend="eager")
    with torch.no_grad():
        compiled, eager = program(**given), model(**given)
    assert type(compiled) is type(eager)
    assert list(compiled) == list(eager)
    assert list(compiled.everything()) == list(eager.everything())
    torch.testing.assert_close(compiled[0], eager[0])


@pytest.mark.parametrize(("rows", "columns", "window"), [(3, 3, 3), (4, 12, 4), (14, 7, 7), (10, 5, 5)])
def test_places_in_windows_are_those_that_numpy_computes_for_all(rows, columns, window):
    """PyTorch computes them itself, because torch.compile does not follow NumPy with sizes that are no numbers."""
    for shift in range(1, window):
        seen = swin.shown(rows, columns, window, shift, "cpu")
        np.testing.assert_array_equal(seen, windows.shifted_visible(rows, columns, window, shift))
    for side in (window, window + 2):
        index = relative.window_index(window, side, "cpu")
        np.testing.assert_array_equal(index, windows.relative_index(window, window, (side, side)))


def test_windows_that_shift_compile_whole_for_every_batch_and_size(public):
    sizes = {
        "image_size": 40,
        "patch_size": 4,
        "embed_dim": 12,
        "num_heads": [2, 4],
        "window_size": 4,
        "mlp_ratio": 4.0,
    }
    model = public("SwinModel")(zoo.config("SwinModel", **sizes, initializer_range=0.3), seed=1).eval()
    torch.compiler.reset()
    program = torch.compile(model, fullgraph=True, backend="eager")
    for seed, shape in enumerate(((2, 3, 40, 56), (3, 3, 40, 56), (1, 3, 33, 70))):
        pixels = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            torch.testing.assert_close(program(pixels).last_hidden_state, model(pixels).last_hidden_state)


@pytest.mark.parametrize(
    "name", zoo.seldom(("BeitModel", "ViTModel", "Data2VecVisionForSemanticSegmentation"), ["BeitModel"])
)
def test_other_sizes_of_images_compile_whole(public, name):
    """What NumPy computes of sizes is a constant of each program, and torch.compile has sizes in symbols from the second on."""
    model = public(name)(zoo.config(name, initializer_range=0.3), seed=1).eval()
    torch.compiler.reset()
    program = torch.compile(model, fullgraph=True, backend="eager")
    for seed, (height, width) in enumerate(((32, 32), (48, 24), (40, 56))):
        pixels = torch.randn((2, 3, height, width), generator=torch.Generator().manual_seed(seed))
        found, expected = (made(pixels, interpolate_pos_encoding=True) for made in (program, model))
        torch.testing.assert_close(found[0], expected[0])


@pytest.mark.parametrize("name", [zoo.COMPOSITE])
def test_training_with_labels_compiles_whole(load, kit, name):
    model = load(name).train()
    given = native(kit, zoo.inputs(name, model.config))
    given["labels"] = given.pop("decoder_input_ids")
    loss = torch.compile(model, fullgraph=True, backend="eager")(**given, output_attentions=True).loss
    loss.backward()
    assert all(parameter.grad is not None for key, parameter in model.named_parameters() if "pooler" not in key)


def test_a_model_trains_after_construction_and_not_after_loading(public, load, class_name):
    model = public(class_name)(zoo.config(class_name))
    assert model.training
    assert all(module.training for module in model.modules())
    loaded = load(class_name)
    assert not any(module.training for module in loaded.modules())
    assert all(parameter.requires_grad for parameter in loaded.parameters())


def test_the_halves_of_a_composite_have_its_mode(load):
    model = load(zoo.COMPOSITE)
    assert not model.encoder.training
    model.train()
    assert model.encoder.training
    assert model.decoder.training
    model.eval()
    assert not model.decoder.training


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
def test_a_change_of_architecture_keeps_the_mode_of_every_module(load, class_name, training):
    model = load(class_name).train(training)
    if zoo.resizes(class_name):
        model.resize_token_embeddings(zoo.VOCABULARY + 2)
    for part in zoo.prunes(class_name):
        (getattr(model, part) if part else model).prune_heads({0: [1]})
    assert {module.training for module in model.modules()} == {training}
    for half in getattr(model, "halves", {}).values():
        assert {module.training for module in half.modules()} == {training}


@pytest.mark.parametrize("name", ["BertLMHeadModel", zoo.COMPOSITE])
def test_a_change_of_architecture_keeps_what_is_frozen_and_what_alone_is_in_inference_mode(load, name):
    model = load(name).train()
    decoder = model.decoder.network if name == zoo.COMPOSITE else model.network
    for frozen in (decoder.model.embeddings, decoder.model.transformer.blocks[1].mlp):
        frozen.requires_grad_(False).eval()
    modes = {key: module.training for key, module in model.named_modules()}
    learns = {key: parameter.requires_grad for key, parameter in model.named_parameters()}
    model.resize_token_embeddings(zoo.VOCABULARY + 2)
    (model.decoder if name == zoo.COMPOSITE else model).prune_heads({0: [1]})
    assert {key: module.training for key, module in model.named_modules()} == modes
    assert {key: parameter.requires_grad for key, parameter in model.named_parameters()} == learns
    assert len(set(learns.values())) == len(set(modes.values())) == 2


def test_a_change_of_architecture_keeps_every_module_and_its_hooks(load, kit, class_name):
    model, fired = load(class_name), set()
    for module in model.modules():
        module.register_forward_hook(lambda *called: fired.add(called[0]))
    kit.call(model, **zoo.inputs(class_name, model.config))
    before, called = list(model.named_modules()), set(fired)
    for change in zoo.changes(class_name):
        change(model)
    fired.clear()
    kit.call(model, **zoo.inputs(class_name, model.config))
    assert fired == called
    assert all(new is old for (_, new), (_, old) in zip(model.named_modules(), before, strict=True))


def test_modules_know_the_sizes_of_their_tensors_after_a_change(load, class_name):
    model = load(class_name)
    for change in zoo.changes(class_name):
        change(model)
    tables = [
        (m.weight, (m.num_embeddings, m.embedding_dim)) for m in model.modules() if isinstance(m, torch.nn.Embedding)
    ]
    linear = [(m.weight, (m.out_features, m.in_features)) for m in model.modules() if isinstance(m, torch.nn.Linear)]
    assert all(tuple(weight.shape) == sizes for weight, sizes in tables + linear)


def test_numbers_of_modules_that_users_set_outlive_a_change(load):
    model = load("BertModel")
    dropout, tokens = model.network.embeddings.dropout, model.get_input_embeddings()
    dropout.p, tokens.padding_idx, tokens.max_norm = 0.7, None, 3.0
    for change in zoo.changes("BertModel"):
        change(model)
    assert (dropout.p, tokens.padding_idx, tokens.max_norm) == (0.7, None, 3.0)


@pytest.mark.parametrize("name", [*zoo.HEADS, zoo.COMPOSITE])
def test_an_optimiser_made_before_a_change_goes_on_with_what_kept_its_shape(load, kit, name):
    model = load(name).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)

    def learn():
        given = native(kit, zoo.inputs(name, model.config, 1, "labels"))
        optimiser.zero_grad()
        model(**given).loss.backward()
        before = {key: tensor.detach().clone() for key, tensor in model.named_tensors().items()}
        optimiser.step()
        return {key for key, tensor in model.named_tensors().items() if not torch.equal(tensor, before[key])}

    learnt, shapes = learn(), {key: tensor.shape for key, tensor in model.named_tensors().items()}
    state = {
        key: optimiser.state[tensor].get("exp_avg") for key, tensor in model.named_tensors().items() if key in learnt
    }
    for change in zoo.changes(name):
        change(model)
    kept = {key for key, tensor in model.named_tensors().items() if tensor.shape == shapes[key]}
    assert learn() == learnt & kept
    assert learnt - kept
    named = model.named_tensors()
    assert all(optimiser.state[named[key]]["exp_avg"] is state[key] for key in learnt & kept)


def test_parameters_are_listed_once_under_their_names(model):
    named = dict(model.named_parameters())
    trained = {row.name for row in model.rows() if not row.kind.is_state}
    assert {key.removeprefix("network.") for key in named} == trained
    assert sum(parameter.numel() for parameter in named.values()) == model.num_parameters()


def test_a_step_of_an_optimiser_changes_the_loss(load, kit):
    model = load(zoo.COMPOSITE).train()
    given = native(kit, zoo.inputs(zoo.COMPOSITE, model.config, 1, "labels"))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(2):
        optimiser.zero_grad()
        loss = model(**given).loss
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[1] < losses[0]


def test_a_model_can_be_copied_pickled_and_restored_from_its_state(load, kit):
    model = load(zoo.COMPOSITE)
    given = native(kit, zoo.inputs(zoo.COMPOSITE, model.config))
    copied, pickled = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        expected = copied(**given).logits
        assert torch.equal(pickled(**given).logits, expected)
        assert not torch.equal(model(**given).logits, expected)
        model.load_state_dict(copied.state_dict())
        assert torch.equal(model(**given).logits, expected)
    assert copied.encoder.network is copied.network.encoder


def test_a_model_moves_to_another_type_with_its_halves(load):
    model = load(zoo.COMPOSITE).to(torch.bfloat16)
    assert model.dtype == model.encoder.dtype == model.decoder.dtype == torch.bfloat16
    assert model.device == torch.device("cpu")


def test_an_output_is_a_tree_to_torch(model, kit, class_name):
    out = kit.call(model, **zoo.inputs(class_name, model.config), output_hidden_states=True)
    leaves, spec = _pytree.tree_flatten(out)
    assert all(isinstance(leaf, torch.Tensor) for leaf in leaves)
    again = _pytree.tree_unflatten(leaves, spec)
    assert type(again) is type(out)
    assert list(again) == list(out)


def test_numpy_arrays_are_refused_with_the_way_to_make_tensors(model, class_name):
    given = zoo.inputs(class_name, model.config)
    with pytest.raises(ValueError, match=r"expected a torch\.Tensor, got a NumPy array \(torch\.from_numpy"):
        model(**given)


def test_numpy_arrays_inside_of_structures_are_refused_by_name(loaded, kit):
    model = loaded("LxmertForPreTraining")
    given = zoo.inputs("LxmertForPreTraining", model.config, 1, "obj_labels")
    with pytest.raises(ValueError, match=r"obj_labels\['obj'\]\[0\]: expected a torch\.Tensor, got a NumPy array"):
        model(**native(kit, given) | {"obj_labels": given["obj_labels"]})


def test_arguments_bind_by_position_in_the_documented_order(model, kit, class_name):
    given = zoo.inputs(class_name, model.config)
    first = next(iter(model.spec.names()))
    value = given.pop(first)
    field = 0
    by_position = kit.call(model, value, **given)[field]
    assert torch.equal(by_position, kit.call(model, **{first: value}, **given)[field])


@pytest.mark.parametrize("prefix", ["", "with a head's prefix"])
def test_a_published_state_dict_loads_into_the_tensors_there_are(load, public, kit, class_name, checkpoints, prefix):
    """As old scripts do: `model.load_state_dict(torch.load("pytorch_model.bin"))`; an optimiser made before goes on."""
    expected = {
        name: kit.array(array) for name, array in load_file(checkpoints[class_name] / "model.safetensors").items()
    }
    model = public(class_name)(zoo.config(class_name), seed=5)
    model.config = load(class_name).config
    given, base = dict(expected), names.table(model.config).published_prefix
    if prefix and base and not model.spec.head:
        given = {base + name: tensor for name, tensor in expected.items()}
    before = dict(model.named_parameters())
    found = model.load_state_dict(given)
    assert (found.missing_keys, found.unexpected_keys) == ([], [])
    assert all(parameter is before[name] for name, parameter in model.named_parameters())
    for name, tensor in model.published_state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=0, atol=0)


def test_published_tensors_are_not_assigned(load, checkpoints, kit):
    tensors = {n: kit.array(a) for n, a in load_file(checkpoints["BertModel"] / "model.safetensors").items()}
    with pytest.raises(ValueError, match="assign: expected False"):
        load("BertModel").load_state_dict(tensors, assign=True)


def test_a_state_dict_by_the_model_s_own_names_loads_as_ever(load, class_name):
    model = load(class_name)
    assert str(model.load_state_dict(model.state_dict())) == "<All keys matched successfully>"


def test_what_a_published_state_dict_lacks_is_an_error_or_stays(load, checkpoints, kit):
    model = load("BertModel")
    tensors = {n: kit.array(a) for n, a in load_file(checkpoints["BertModel"] / "model.safetensors").items()}
    lacking = next(name for name in tensors if "attention.self.query.weight" in name)
    before = model.published_state_dict()[lacking]
    del tensors[lacking]
    with pytest.raises(CheckpointError, match="missing"):
        model.load_state_dict(tensors)
    assert model.load_state_dict(tensors, strict=False).missing_keys == [lacking]
    torch.testing.assert_close(model.published_state_dict()[lacking], before, rtol=0, atol=0)


@pytest.mark.parametrize("class_name", [c for c in zoo.CLASSES if "output_attentions" in specs.of(c).names()])
def test_eager_attention_never_asks_the_fused_kernel_and_computes_the_same(
    public, checkpoints, kit, class_name, loaded
):
    model = public(class_name).from_pretrained(checkpoints[class_name], attn_implementation="eager")
    given = zoo.inputs(class_name, model.config)
    refusing = mock.patch.object(torch.nn.functional, "scaled_dot_product_attention", side_effect=AssertionError)
    with refusing:
        got = kit.call(model, **given)
        with pytest.raises(AssertionError):
            kit.call(loaded(class_name), **given)
    expected = kit.call(loaded(class_name), **given)
    torch.testing.assert_close(got[0], expected[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("given", ["cpu", "auto", {"": "cpu"}, torch.device("cpu"), "meta"])
def test_a_device_map_of_one_device_is_heeded(public, checkpoints, given):
    model = public("ViTModel").from_pretrained(checkpoints["ViTModel"], device_map=given)
    wanted = "meta" if given == "meta" else ("cuda" if given == "auto" and torch.cuda.is_available() else "cpu")
    assert {parameter.device.type for parameter in model.parameters()} == {wanted}


def test_frozen_parameters_are_not_counted_as_trained(load):
    model = load("BertLMHeadModel")
    model.base_model.requires_grad_(False)
    head = sum(p.numel() for name, p in model.named_parameters() if name.startswith("network.head."))
    assert model.num_parameters(only_trainable=True) == head < model.num_parameters()


def test_options_of_recomputation_count_or_are_refused(load, class_name):
    model = load(class_name)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    assert model.is_gradient_checkpointing
    model.gradient_checkpointing_disable()
    for wrong in ({"use_reentrant": True}, {"preserve_rng_state": False}, {"use_reentrent": False}, True):
        with pytest.raises(ValueError, match=r"gradient_checkpointing_kwargs: expected None or .*, got"):
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=wrong)
    assert not model.is_gradient_checkpointing
