"""Attention in every path against NumPy: bias, masks, chunks; and stacks that hand each block what is its own.

Axes: b batch, q queries, k keys, n heads, h head size.
"""

import functools
import importlib
from unittest import mock

import numpy as np
import pytest
import zoo

from multimodal.modeling.dropout import by_mean

BATCH, HEADS, SIZE, KEYS, WIDTH = 2, 3, 4, 7, 12
SCALE = 0.3
PAIRS = [
    ("none", "none"),
    ("none", "of each row"),
    ("padding", "shared"),
    ("rows that see nothing", "none"),
    ("rows that see nothing", "shared"),
    ("rows", "of each row"),
]
PATHS = ["as little as needed", "with weights", "with a head mask"]
FORWARD, GRADIENT = 1e-11, 1e-9
"""The semantics gate: docs/design.md, section 4."""


@pytest.fixture(autouse=True)
def _precise(kit):
    with kit.precise():
        yield


def near(found, expected, budget):
    assert np.linalg.norm(found - expected) <= budget * np.linalg.norm(expected)


def drawn(*shape):
    return np.random.default_rng(shape).normal(size=shape)


def mask(kind, queries):
    """True is visible; (b or 1, 1, q or 1, k)."""
    if kind == "none":
        return None
    if kind == "padding":
        return (np.arange(KEYS) < np.array([[KEYS], [KEYS - 2]]))[:, None, None]
    visible = np.random.default_rng(1).uniform(size=(BATCH, 1, queries, KEYS)) < 0.7
    visible[..., 0] = True
    if kind == "rows that see nothing":
        visible[0, 0, queries // 2] = visible[1, 0, -1] = False
    return visible


def bias(kind, queries):
    return None if kind == "none" else drawn({"shared": 1, "of each row": BATCH}[kind], HEADS, queries, KEYS)


def projected(queries):
    """Query, key and value, (b, n, q or k, h)."""
    return tuple(drawn(BATCH, HEADS, count, SIZE) + shift for count, shift in ((queries, 0), (KEYS, 0.1), (KEYS, 0.2)))


def weights_of(query, key, visible, added):
    """The probabilities by hand: the bias comes behind the scaling."""
    scores = np.einsum("bnqh,bnkh->bnqk", query, key) * SCALE
    scores = scores if added is None else scores + added
    powers = np.exp(scores - scores.max(-1, keepdims=True)) * (1.0 if visible is None else visible)
    total = powers.sum(-1, keepdims=True)
    return powers / np.where(total == 0, 1.0, total)


def weighted(probabilities, value):  # -> b q (n h)
    x = np.einsum("bnqk,bnkh->bqnh", probabilities, value)
    return x.reshape(*x.shape[:2], HEADS * SIZE)


@pytest.fixture
def make(kit):
    """`make(name, **options)`: an attention in float64."""

    def made(name="SelfAttention", **options):
        given = {"num_heads": HEADS, "head_size": SIZE, "scale": SCALE, **options, **kit.types("float64")}
        given = {k: v for k, v in given.items() if not (k == "scale" and name.startswith("Relative"))}
        return kit.layer(f"attention.{name}")(WIDTH, **given)

    return made


def asked(path):
    """Keywords of `attend` for a path, and what they make of the probabilities."""
    head_mask = np.array([1.0, 0.5, 0.25])[:, None, None]
    given = {"with weights": {"weights": True}, "with a head mask": {"head_mask": head_mask}}.get(path, {})
    return given, given.get("head_mask", 1.0)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("visible", "added"), PAIRS)
class TestBias:
    """Every path against NumPy; where torch fuses, that is the kernel's."""

    QUERIES = 5

    def values(self, visible, added):
        return projected(self.QUERIES), mask(visible, self.QUERIES), bias(added, self.QUERIES)

    def test_what_comes_out_is_what_numpy_says(self, kit, make, path, visible, added):
        (query, key, value), visible, added = self.values(visible, added)
        given, factor = asked(path)
        arrays = {name: kit.array(v) for name, v in {"visible": visible, "bias": added, **given}.items()}
        out, found = kit.method(make(), "attend")(*map(kit.array, (query, key, value)), **arrays)
        expected = weights_of(query, key, visible, added) * factor
        near(kit.numpy(out), weighted(expected, value), 1e-14)
        assert (found is None) == (path != "with weights")
        if found is not None:
            near(kit.numpy(found), expected, 1e-14)

    def test_a_row_that_sees_nothing_is_zero(self, kit, make, path, visible, added):
        (query, key, value), visible, added = self.values(visible, added)
        given, _ = asked(path)
        arrays = {name: kit.array(v) for name, v in {"visible": visible, "bias": added, **given}.items()}
        out = kit.numpy(kit.method(make(), "attend")(*map(kit.array, (query, key, value)), **arrays)[0])
        blind = np.zeros((BATCH, self.QUERIES), bool)
        if visible is not None:
            blind |= ~visible.any((1, 3))
        assert (np.abs(out).max(-1) == 0).tolist() == blind.tolist()

    def test_the_gradient_to_the_bias_is_what_numpy_says(self, kit, make, path, visible, added):
        if added == "none":
            added = "shared"
        (query, key, value), visible, added = self.values(visible, added)
        given, factor = asked(path)
        attend, arrays = kit.method(make(), "attend"), {k: kit.array(v) for k, v in given.items()}
        arrays["visible"] = kit.array(visible)
        q, k, v = map(kit.array, (query, key, value))
        cotangent = drawn(BATCH, self.QUERIES, HEADS * SIZE)
        found = kit.pullback(lambda added: attend(q, k, v, bias=added, **arrays)[0], added, cotangent)
        probabilities = weights_of(query, key, visible, added)
        by_head = cotangent.reshape(BATCH, self.QUERIES, HEADS, SIZE)
        change = np.einsum("bqnh,bnkh->bnqk", by_head, value) * factor
        expected = probabilities * (change - (probabilities * change).sum(-1, keepdims=True))
        expected = expected if added.shape[0] == BATCH else expected.sum(0, keepdims=True)
        near(found, expected, 1e-13)


@pytest.mark.parametrize("dtype", zoo.NARROW)
@pytest.mark.parametrize("path", PATHS)
def test_a_row_that_sees_nothing_is_zero_in_narrow_types(kit, dtype, path):
    made = kit.layer("attention.SelfAttention")(WIDTH, num_heads=HEADS, head_size=SIZE, **kit.types(dtype))
    arrays = [kit.array(part.astype(zoo.NARROW[dtype])) for part in projected(5)]
    visible = mask("rows that see nothing", 5)
    given = {"visible": visible, "bias": bias("shared", 5).astype(zoo.NARROW[dtype]), **asked(path)[0]}
    out, _ = kit.method(made, "attend")(*arrays, **{k: kit.array(v) for k, v in given.items()})
    out = kit.numpy(out).astype(np.float64)
    assert np.isfinite(out).all()
    assert (np.abs(out).max(-1) == 0).tolist() == (~visible.any((1, 3))).tolist()


CHUNK = 4
LENGTHS = {"shorter than a chunk": 3, "a multiple": 8, "no multiple": 11}


@pytest.fixture
def chunked(kit):
    """`chunked(call)`: the answer of `call` in chunks of four queries."""

    def run(call):
        attention = kit.layer("attention.Attention")
        module = __import__(attention.__module__, fromlist=["rows"])
        with (
            mock.patch.multiple(module, LONG=1, CHUNK=CHUNK),
            mock.patch.object(module, "rows", wraps=module.rows) as rows,
        ):
            answer = call()
        assert rows.called
        return answer

    return run


@pytest.mark.parametrize("queries", LENGTHS.values(), ids=LENGTHS)
class TestChunks:
    """What is computed for some queries after the other is what is computed at once."""

    @pytest.mark.parametrize(("visible", "added"), [PAIRS[1], PAIRS[2], PAIRS[4]])
    @pytest.mark.parametrize("training", [False, True], ids=["inference", "training by the mean"])
    def test_outputs_and_gradients_are_the_same(self, kit, make, chunked, queries, visible, added, training):
        """The head mask keeps torch from its kernel."""
        made, given = make(dropout_rate=0.25), {"visible": mask(visible, queries), "bias": bias(added, queries)}
        given["head_mask"] = np.array([1.0, 0.5, 0.25])[:, None, None]
        arrays = {"query": 0, "key": 0, "value": 0} | given
        arrays |= dict(zip(("query", "key", "value"), projected(queries)))
        attend = kit.method(made, "attend", training=training)
        tensors = {name: kit.array(v) for name, v in arrays.items()}

        def of(name):
            def call(x):
                own = {**tensors, name: x}
                return attend(own.pop("query"), own.pop("key"), own.pop("value"), **own)[0]

            return call

        cotangent = drawn(BATCH, queries, HEADS * SIZE)
        rest = {name: tensors[name] for name in given}
        with by_mean():
            plain = kit.numpy(of("query")(tensors["query"]))
            still = kit.method(make(), "attend")(tensors["query"], tensors["key"], tensors["value"], **rest)[0]
            near(plain, kit.numpy(still) * (0.75 if training else 1.0), FORWARD)
            near(kit.numpy(chunked(lambda: of("query")(tensors["query"]))), plain, FORWARD)
            for name in ("query", "key", "value", *(["bias"] if added != "none" else [])):
                wanted = kit.pullback(of(name), arrays[name], cotangent)
                near(chunked(functools.partial(kit.pullback, of(name), arrays[name], cotangent)), wanted, GRADIENT)

    def test_they_are_the_same_in_a_compiled_program(self, kit, make, chunked, queries):
        attend = kit.method(make(), "attend")
        parts = list(map(kit.array, projected(queries)))
        visible, added = kit.array(mask("rows", queries)), kit.array(bias("shared", queries))

        def call(query, key, value):
            return attend(query, key, value, visible=visible, bias=added, head_mask=kit.array(np.ones((HEADS, 1, 1))))[
                0
            ]

        plain = kit.numpy(call(*parts))
        near(kit.numpy(chunked(lambda: kit.compiled(call)(*parts))), plain, FORWARD)

    @pytest.mark.parametrize("name", ["RelativeKeyAttention", "RelativeKeyQueryAttention"])
    def test_relative_positions_go_on_from_chunk_to_chunk(self, kit, make, chunked, queries, name):
        made, x = make(name, positions=16), drawn(BATCH, queries, WIDTH)
        added = drawn(1, HEADS, queries, queries)
        [plain, found] = [
            kit.numpy(
                run(lambda: kit.run(made, lambda name, shape: drawn(*shape, len(name))[..., 0], x, bias=added)[0])
            )
            for run in (lambda call: call(), chunked)
        ]
        near(found, plain, FORWARD)


@pytest.mark.parametrize("what", ["too few queries", "the weights are asked for"])
def test_nothing_is_done_in_chunks_where(kit, make, what):
    module = __import__(kit.layer("attention.Attention").__module__, fromlist=["rows"])
    few = what == "too few queries"
    parts = map(kit.array, projected(5))
    with mock.patch.multiple(module, LONG=6 if few else 1, CHUNK=2), mock.patch.object(module, "rows") as rows:
        kit.method(make(), "attend")(*parts, head_mask=kit.array(np.ones((HEADS, 1, 1))), weights=not few)
    assert not rows.called


@pytest.mark.parametrize("switch", ["query_bias", "key_bias", "value_bias"])
@pytest.mark.parametrize("name", ["SelfAttention", "CrossAttention"])
def test_a_switch_takes_away_the_bias_of_one_projection_and_nothing_else(kit, make, name, switch):
    x = drawn(BATCH, 5, WIDTH)
    arrays = (x, x) if name == "CrossAttention" else (x,)

    def tensors(**switches):
        seen = {}
        made = make(name, **switches)
        out = kit.run(made, lambda name, shape: seen.setdefault(name, drawn(*shape, len(name))[..., 0]), *arrays)[0]
        return seen, kit.numpy(out)

    (every, _), (fewer, out) = tensors(), tensors(**{switch: False})
    lost = f"{switch.removesuffix('_bias')}.bias"
    assert set(every) - set(fewer) == {lost}
    assert set(fewer) <= set(every)
    zero = {**every, lost: np.zeros_like(every[lost])}
    expected = kit.run(make(name), lambda name, shape: zero[name], *arrays)[0]
    near(out, kit.numpy(expected), 1e-14)


BLOCKS = ["PreNormBlock", "PostNormBlock"]
LAYERS, TOKENS = 2, 5


def tensor(name, shape):
    """One tensor of a block: which block it is in counts."""
    return np.random.default_rng([len(name), *map(ord, name)]).normal(size=shape) * 0.3


@pytest.fixture
def stack(kit):
    """`stack(block, name, layers)`: some blocks in float64, without tensors of their own yet."""

    def made(block, name="Stack", layers=LAYERS):
        types, own = kit.types("float64"), {"parent": None} if kit.NAME == "flax" else {}

        def one(layer):
            attention = kit.layer("attention.SelfAttention")(WIDTH, num_heads=HEADS, head_size=SIZE, **types, **own)
            mlp = kit.layer("mlp.MLP")(WIDTH, inner_size=10, activation="gelu", **types, **own)
            named = {"name": f"blocks_{layer}"} if kit.NAME == "tf" else own
            cls = kit.layer(f"encoder.{block}")
            return cls(WIDTH, attention, mlp=mlp, epsilon=1e-6, dropout_rate=0.0, **types, **named)

        return kit.layer(f"encoder.{name}")([one(layer) for layer in range(layers)])

    return made


@pytest.mark.parametrize("block", BLOCKS)
class TestStack:
    """A bias for all blocks or for each, and what a stack gives back."""

    X = drawn(BATCH, TOKENS, WIDTH)
    FIRST, SECOND = drawn(1, HEADS, TOKENS, TOKENS), drawn(BATCH, HEADS, TOKENS, TOKENS)

    @pytest.mark.parametrize("name", ["Stack", "DecoderStack"])
    def test_each_block_gets_its_own_bias_or_that_of_all(self, kit, stack, block, name):
        def out(added):
            return kit.numpy(kit.filled(stack(block, name), tensor, self.X)(bias=added).x)

        first, second = kit.array(self.FIRST), kit.array(self.SECOND)
        near(out((first, first)), out(first), 1e-14)
        x = self.X
        for layer, added in enumerate((first, second)):  # one block after the other, each in a stack of its own
            alone = stack(block, layers=1)
            x = kit.numpy(
                kit.filled(alone, lambda n, s, at=layer: tensor(n.replace("blocks.0", f"blocks.{at}"), s), x)(
                    bias=added
                ).x
            )
        near(out([first, second]), x, 1e-13)
        assert np.abs(out((second, first)) - x).max() > 1e-3

    def test_a_bias_too_few_is_refused(self, kit, stack, block):
        call = kit.filled(stack(block), tensor, self.X)
        with pytest.raises(ValueError, match="bias: expected one for each of 2 layers, got 1"):
            call(bias=(kit.array(self.FIRST),))

    def test_an_encoder_keeps_no_cache_and_a_decoder_does(self, kit, stack, block):
        encoded = kit.filled(stack(block), tensor, self.X)(states=True, weights=True)
        decoded = kit.filled(stack(block, "DecoderStack"), tensor, self.X)(states=True, weights=True)
        assert encoded.cache is None
        assert decoded.cache.position == TOKENS
        assert [tuple(layer.self_attention.key.shape) for layer in decoded.cache.layers] == [
            (BATCH, HEADS, TOKENS, SIZE)
        ] * LAYERS
        for field in ("hidden_states", "attentions"):
            for one, other in zip(getattr(encoded, field), getattr(decoded, field), strict=True):
                near(kit.numpy(one), kit.numpy(other), 1e-14)

    def test_the_bias_has_a_gradient_where_blocks_are_computed_anew(self, kit, stack, block):
        cotangent = drawn(BATCH, TOKENS, WIDTH)

        def found(made):
            call = kit.filled(made, tensor, self.X, seed=1)
            return kit.pullback(lambda added: call(bias=added).x, self.FIRST, cotangent)

        plain = found(stack(block))
        assert np.abs(plain).max() > 1e-3
        near(found(kit.recomputing(stack(block))), plain, GRADIENT)


@pytest.mark.parametrize("path", ["as little as needed", "with weights", "in chunks"])
def test_rows_that_share_a_context_see_of_it_what_they_would_of_one_each(kit, make, path, monkeypatch):
    """Beams of an image: three rows behind each other for each of two contexts, of which the second is padded."""
    copies, queries = 3, 2
    attention = make("CrossAttention", context_size=5)
    module = importlib.import_module(type(attention).__module__)
    if path == "in chunks":
        monkeypatch.setattr(module, "LONG", 1)
        monkeypatch.setattr(module, "CHUNK", 2)
        monkeypatch.setattr(module.Attention, "is_fused", False, raising=False)
    x, context, shown = drawn(copies * BATCH, queries, WIDTH), drawn(BATCH, KEYS, 5), mask("padding", 1)
    fill = lambda name, shape: drawn(*shape) / 3  # noqa: E731
    given = {"weights": path == "with weights"}
    found, once, kept = kit.run(attention, fill, x, context=context, visible=shown, **given)
    each = {"context": np.repeat(context, copies, 0), "visible": np.repeat(shown, copies, 0), **given}
    expected, repeated, _ = kit.run(attention, fill, x, **each)
    near(kit.numpy(found), kit.numpy(expected), FORWARD)
    assert kept.key.shape[0] == BATCH
    if once is not None:
        near(kit.numpy(once), kit.numpy(repeated), FORWARD)
        assert once.shape == (copies * BATCH, HEADS, queries, KEYS)
    assert np.linalg.norm(kit.numpy(found)[0] - kit.numpy(found)[copies]) > 0.1
