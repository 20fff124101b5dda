"""Which library makes the product of a linear layer, and that it makes no difference but of rounding."""

from unittest import mock

import pytest
import torch
import zoo

from multimodal.pt import products
from multimodal.pt.layers.basic import Linear

SIZES = {"inputs": 24, "outputs": 40}


@pytest.fixture
def choice(monkeypatch):
    """Chooses a library for products of any size; gives the calls of oneDNN's."""

    def choose(name):
        monkeypatch.setenv(products.SWITCH, name)
        monkeypatch.setattr(products, "LEAST", 0)
        products.is_direct.cache_clear()
        spy = mock.Mock(wraps=products._direct)
        monkeypatch.setattr(products, "_direct", spy)
        return spy

    yield choose
    products.is_direct.cache_clear()


@pytest.fixture
def layer():
    torch.manual_seed(1)
    return Linear(**SIZES).eval()


def expected(layer, x):
    return torch.nn.functional.linear(x, layer.weight, layer.bias)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.randn(24),
        lambda: torch.randn(1, 24),
        lambda: torch.randn(3, 5, 24),
        lambda: torch.randn(0, 5, 24),
        lambda: torch.randn(3, 24, 5).transpose(1, 2),
        lambda: torch.randn(3, 7, 24)[:, ::2],
        lambda: torch.randn(24).expand(4, 24),
    ],
)
def test_both_libraries_give_the_same_product(choice, make, bias):
    calls, layer, x = choice("onednn"), Linear(**SIZES, bias=bias), make()
    with torch.no_grad():
        found = layer(x)
        torch.testing.assert_close(found, expected(layer, x), rtol=1e-5, atol=1e-6)
    assert found.is_contiguous()
    assert calls.call_count == 1


def plain(layer, x):
    with torch.no_grad():
        return layer(x)


def frozen(layer, x):
    return layer.requires_grad_(False)(x)


def inference(layer, x):
    with torch.inference_mode():
        return layer(x)


@pytest.mark.parametrize("call", [plain, frozen, inference])
def test_inference_takes_the_one_that_was_chosen(choice, layer, call):
    x = torch.randn(2, 24)
    for name, count in {"torch": 0, "onednn": 1}.items():
        calls = choice(name)
        torch.testing.assert_close(call(layer, x), expected(layer, x), rtol=1e-5, atol=1e-6)
        assert calls.call_count == count


def with_gradients(layer, x):
    layer(x).sum().backward()
    assert layer.weight.grad is not None
    return layer(x)


def with_gradients_of_the_input(layer, x):
    return layer.requires_grad_(False)(x.requires_grad_())


@torch.no_grad()
def compiled(layer, x):
    return torch.compile(layer, fullgraph=True, backend="eager")(x)


@torch.no_grad()
def exported(layer, x):
    return torch.export.export(layer, (x,)).module()(x)


@torch.no_grad()
def traced(layer, x):
    return torch.jit.trace(layer, x, check_trace=False)(x)  # a check would call the layer itself


@torch.no_grad()
def mapped(layer, x):
    return torch.func.vmap(layer)(x)


@torch.no_grad()
def by_forward_differentiation(layer, x):
    return torch.func.jvp(layer, (x,), (x,))[0]


@torch.no_grad()
def in_bfloat16(layer, x):
    return layer.bfloat16()(x.bfloat16())


@torch.no_grad()
def in_float64(layer, x):
    return layer.double()(x.double())


@torch.no_grad()
def watched(layer, x):
    with torch.utils.flop_counter.FlopCounterMode(display=False) as flops:
        found = layer(x)
    assert flops.get_total_flops() == 2 * x.numel() * SIZES["outputs"]
    return found


@pytest.mark.parametrize(
    "call",
    [with_gradients, with_gradients_of_the_input, compiled, exported, traced, mapped, by_forward_differentiation,
     in_bfloat16, in_float64, watched],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*")
def test_what_is_more_than_numbers_stays_with_torch(choice, layer, call):
    calls, x = choice("onednn"), torch.randn(2, 24)
    found = call(layer, x)
    with torch.no_grad():
        wanted = expected(layer, x.detach().to(layer.weight.dtype)).to(found.dtype)
    torch.testing.assert_close(found.detach(), wanted)
    assert not calls.called


def test_what_is_cast_automatically_stays_with_torch(choice, layer):
    calls, x = choice("onednn"), torch.randn(2, 24)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(layer(x), expected(layer, x))
        assert layer(x).dtype == torch.bfloat16
    assert not calls.called


def test_tensors_without_values_stay_with_torch(choice):
    calls = choice("onednn")
    with torch.no_grad():
        assert Linear(**SIZES).to("meta")(torch.empty(3, 24, device="meta")).shape == (3, 40)
    assert not calls.called


@pytest.mark.parametrize("faster", [1, products.MANY])
def test_the_faster_is_taken_for_few_rows_and_for_many_each_timed_once(choice, layer, monkeypatch, faster):
    """oneDNN takes 1 where the rows are as many as `faster`, and 3 elsewhere; the other library takes 2."""
    calls = choice("auto")
    monkeypatch.setattr(products, "TRIALS", {False: (1, 24, 40), True: (products.MANY, 24, 40)})
    clock = [0.0]

    def own(x, *given):
        clock[0] += 1.0 if len(x) == faster else 3.0
        return mock.DEFAULT

    def other(*given, real=torch.nn.functional.linear):
        clock[0] += 2.0
        return real(*given)

    calls.side_effect = own
    monkeypatch.setattr(products.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(torch.nn.functional, "linear", other)
    for rows in (1, products.MANY - 1, products.MANY, 2 * products.MANY):
        plain(layer, torch.randn(rows, 24))
        calls.reset_mock()
        plain(layer, torch.randn(rows, 24))
        assert calls.call_count == ((rows < products.MANY) == (faster == 1))


def test_small_products_are_not_worth_the_choice(choice, layer, monkeypatch):
    calls = choice("onednn")
    monkeypatch.setattr(products, "LEAST", 24 * 40 + 1)
    plain(layer, torch.randn(2, 24))
    assert not calls.called
    monkeypatch.setattr(products, "LEAST", 24 * 40)
    plain(layer, torch.randn(2, 24))
    assert calls.called


def test_an_unknown_choice_is_an_error(choice):
    choice("fastest")
    with pytest.raises(ValueError, match="MULTIMODAL_LINEAR: expected 'auto', 'torch' or 'onednn', got 'fastest'"):
        products.is_direct(many=False)


def test_a_model_computes_the_same_with_either(choice, load, kit, class_name):
    model = load(class_name)
    given = {
        name: kit.array(value) for name, value in zoo.inputs(class_name, model.config, 1, "attention_mask").items()
    }
    found = {}
    for name in ("torch", "onednn"):
        calls = choice(name)
        with torch.no_grad():
            found[name] = model(**given)[0]
        assert calls.called == (name == "onednn" and any(isinstance(m, Linear) for m in model.modules()))
    torch.testing.assert_close(found["onednn"], found["torch"], rtol=1e-4, atol=1e-5)
