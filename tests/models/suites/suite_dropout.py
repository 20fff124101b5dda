"""What dropout draws: how much it keeps and how it scales that, and that no two sites and no two calls share a draw."""

import contextlib
import itertools
import re
from unittest import mock

import numpy as np
import pytest
import zoo

from multimodal.checkpoints.layout import to_backend
from multimodal.modeling.dropout import by_mean

ATTENTIONS = ("SelfAttention", "CrossAttention", "RelativeKeyAttention", "RelativeKeyQueryAttention")


def assert_share(true, share):
    """That the share of true values is `share`, within six standard deviations of independent draws."""
    true = np.asarray(true)
    assert abs(true.mean() - share) < 6 * np.sqrt(share * (1 - share) / true.size)


def no_tensors(name, shape):
    raise AssertionError(f"expected a layer without tensors, got {name} {shape}")


class TestLayer:
    """The elementary layer."""

    @pytest.fixture
    def values(self):
        return np.random.default_rng(0).uniform(1.0, 2.0, (64, 96)).astype(np.float32)

    @pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
    def test_the_rate_is_zeroed_and_the_rest_is_scaled_to_keep_the_mean(self, kit, values, rate):
        dropout = kit.seeded(lambda: kit.layer("basic.Dropout")(rate), 1)
        out = kit.numpy(kit.run(dropout, no_tensors, values, seed=1))
        kept = out != 0
        assert_share(kept, 1 - rate)
        np.testing.assert_allclose(out[kept], values[kept] / (1 - rate), rtol=1e-5)
        assert_share(kept[::2] & kept[1::2], (1 - rate) ** 2)
        assert_share(kept[:, ::2] & kept[:, 1::2], (1 - rate) ** 2)

    def test_calls_draw_independently(self, kit, values):
        dropout = kit.seeded(lambda: kit.layer("basic.Dropout")(0.5), 1)
        first, second = (kit.numpy(kit.run(dropout, no_tensors, values, seed=seed)) != 0 for seed in (1, 2))
        assert_share(first & second, 0.25)

    @pytest.mark.parametrize(("rate", "seed"), [(0.9, None), (0.0, 1)], ids=["inference", "rate of zero"])
    def test_nothing_happens_in(self, kit, values, rate, seed):
        dropout = kit.layer("basic.Dropout")(rate)
        np.testing.assert_array_equal(kit.numpy(kit.run(dropout, no_tensors, values, seed=seed)), values)


class TestStochasticDepth:
    """The layer that leaves out a branch for whole examples."""

    @pytest.fixture
    def values(self):
        return np.random.default_rng(0).uniform(1.0, 2.0, (1024, 3, 5)).astype(np.float32)

    @pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
    def test_whole_examples_are_zeroed_and_the_rest_is_scaled_to_keep_the_mean(self, kit, values, rate):
        depth = kit.seeded(lambda: kit.layer("basic.StochasticDepth")(rate), 1)
        out = kit.numpy(kit.run(depth, no_tensors, values, seed=1))
        kept = (out != 0).any((1, 2))
        np.testing.assert_allclose(out[kept], values[kept] / (1 - rate), rtol=1e-5)
        assert not out[~kept].any()
        assert_share(kept, 1 - rate)
        assert_share(kept[::2] & kept[1::2], (1 - rate) ** 2)

    def test_calls_draw_independently(self, kit, values):
        depth = kit.seeded(lambda: kit.layer("basic.StochasticDepth")(0.5), 1)
        first, second = (kit.numpy(kit.run(depth, no_tensors, values, seed=seed))[:, 0, 0] != 0 for seed in (1, 2))
        assert_share(first & second, 0.25)

    @pytest.mark.parametrize(("rate", "seed"), [(0.9, None), (0.0, 1)], ids=["inference", "rate of zero"])
    def test_nothing_happens_in(self, kit, values, rate, seed):
        depth = kit.layer("basic.StochasticDepth")(rate)
        np.testing.assert_array_equal(kit.numpy(kit.run(depth, no_tensors, values, seed=seed)), values)

    def test_without_chance_it_multiplies_by_its_mean(self, kit, values):
        depth = kit.layer("basic.StochasticDepth")(0.25)
        with by_mean():
            out = kit.numpy(kit.run(depth, no_tensors, values, seed=1))
        np.testing.assert_array_equal(out, values * np.float32(0.75))


@pytest.mark.parametrize("path", ["as little as needed", "with weights", "with a head mask", "in chunks"])
@pytest.mark.parametrize("name", ATTENTIONS)
class TestAttention:
    """Attention that is even and whose values are one: what comes out counts the keys that were kept."""

    BATCH, HEADS, KEYS, RATE = 32, 4, 16, 0.75

    def even(self, name, shape):
        if name == "out.weight":
            return np.eye(*shape, dtype=np.float32)
        return np.full(shape, float(name == "value.bias"), np.float32)

    def answer(self, kit, name, path, seed):
        """(count of keys kept, for each row, query and head; probabilities or None)"""
        positions = {"positions": self.KEYS} if name.startswith("Relative") else {}
        cls = kit.layer(f"attention.{name}")
        made = kit.seeded(lambda: cls(16, num_heads=self.HEADS, head_size=4, dropout_rate=self.RATE, **positions), 1)
        x = np.ones((self.BATCH, self.KEYS, 16), np.float32)
        given = {
            "as little as needed": {},
            "with weights": {"weights": True},
        }.get(path, {"head_mask": np.ones((self.HEADS, 1, 1), np.float32)})
        arrays = (x, x) if name == "CrossAttention" else (x,)
        seeds = [seed] if seed is None else [seed, seed + 1]
        chunks = {"LONG": 1, "CHUNK": 1} if path == "in chunks" else {}  # each query by itself
        with mock.patch.multiple(cls.__module__, **chunks) if chunks else contextlib.nullcontext():
            answers = [kit.run(made, self.even, *arrays, seed=one, **given) for one in seeds]
        shape = (self.BATCH, self.KEYS, self.HEADS, 4)
        return [(kit.numpy(out).reshape(shape)[..., 0], weights) for out, weights, _ in answers]

    def test_probabilities_are_dropped_each_by_itself_and_keep_their_mean(self, kit, name, path):
        [(out, weights), (other, _)] = self.answer(kit, name, path, 1)
        counts = out * self.KEYS * (1 - self.RATE)
        np.testing.assert_allclose(counts, counts.round(), atol=1e-3)
        keep = 1 - self.RATE
        draws = counts.size * self.KEYS
        assert abs(counts.sum() / draws - keep) < 6 * np.sqrt(keep * self.RATE / draws)
        assert counts.var() == pytest.approx(self.KEYS * keep * self.RATE, rel=0.25)
        for first, second in (
            (counts[..., 0], counts[..., 1]), (counts[:, 0], counts[:, 1]), (counts[0], counts[1]), (counts, other),
        ):  # fmt: skip
            assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 6 / np.sqrt(first.size)
        if path == "with weights":
            weights = kit.numpy(weights)
            np.testing.assert_allclose(weights[weights != 0], 1 / self.KEYS / keep, rtol=1e-5)
            np.testing.assert_array_equal((weights != 0).sum(-1).swapaxes(1, 2), counts.round())

    def test_nothing_is_dropped_in_inference(self, kit, name, path):
        [(out, weights)] = self.answer(kit, name, path, None)
        np.testing.assert_allclose(out, 1.0, rtol=1e-5)
        if path == "with weights":
            np.testing.assert_allclose(kit.numpy(weights), 1 / self.KEYS, rtol=1e-5)


WIDTH, TOKENS = 128, 12
BIASES = ("attention.out.bias", "cross_attention.out.bias", "mlp.down.bias")


def of_blocks(stack, count, biases):
    """The last biases before each dropout of a stack of blocks, in order."""
    return [f"{stack}.blocks.{layer}.{bias}" for layer in range(count) for bias in biases]


DECODER = of_blocks("transformer", 2, BIASES)
BOTH = ["cross.blocks.0.cross_attention.out.bias"]
SITES = {
    "ViTModel": {"last_hidden_state": ["embeddings.positions", *of_blocks("transformer", 2, BIASES[::2])]},
    "BertModel": {"last_hidden_state": ["embeddings.norm.bias", *DECODER]},
    "GPT2Model": {"last_hidden_state": ["embeddings.tokens.weight", *DECODER]},
    "Data2VecTextModel": {"last_hidden_state": ["embeddings.norm.bias", *DECODER]},
    "LxmertModel": {
        "language_output": [
            "embeddings.norm.bias", *of_blocks("language", 1, BIASES[::2]), *BOTH,
            *(f"cross.blocks.0.language.{bias}" for bias in BIASES[::2]),
        ],
        "vision_output": [
            "visual_embeddings.(features|boxes)_norm.bias", *of_blocks("vision", 1, BIASES[::2]), *BOTH,
            *(f"cross.blocks.0.vision.{bias}" for bias in BIASES[::2]),
        ],
    },
}  # fmt: skip
"""{class: {field: tensors that end what each of its dropouts gets}}: site i adds 2^i wherever it does not drop."""
RATES = {"GPT2Model": {"embd_pdrop": 0.25, "resid_pdrop": 0.5, "attn_pdrop": 0.5}}
EVEN = {"hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5}


@pytest.mark.parametrize("name", SITES)
class TestModel:
    """Models that carry nothing from position to position, and in which normalisation takes off the mean alone."""

    @pytest.fixture
    def model(self, public, kit, name):
        few = {"l_layers": 1, "r_layers": 1, "x_layers": 1} if name == "LxmertModel" else {}
        wide = {"n_embd" if name == "GPT2Model" else "hidden_size": WIDTH}
        epsilon = {"layer_norm_epsilon" if name == "GPT2Model" else "layer_norm_eps": 1e8}
        config = zoo.config(name, **wide, **epsilon, **few, **RATES.get(name, EVEN))
        made = kit.seeded(lambda: public(name)(config), 1)
        rows = ((row, self.tensor(name, row)) for row in made.rows())
        made._load((row.name, to_backend(value, row.kind, made.backend)) for row, value in rows)
        return made

    def tensor(self, name, row):
        """2^i times the share that is kept, at site i, but nothing in the first column: what changes there is a mean."""
        value = np.zeros(row.shape, np.float32)
        if re.search(r"norm\d?\.weight$", row.name):
            value[:] = 1e4
        for sites in SITES[name].values():
            for at, pattern in enumerate(sites):
                if re.fullmatch(pattern, row.name):
                    value[..., 1:] = 2.0**at * (1 - self.rate(name, at))
        return value

    def rate(self, name, site):
        return RATES.get(name, {}).get("resid_pdrop" if site else "embd_pdrop", 0.5)

    def drawn(self, kit, model, name, seed, **asked):
        given = zoo.inputs(name, model.config, 1, length=TOKENS)
        return kit.drawn(model, seed, **given, **asked)

    def kept(self, kit, model, name, out):
        """For each field, whether each site kept each value."""
        for field, sites in SITES[name].items():
            found = kit.numpy(out[field])
            found = (found - found[..., :1])[..., 1:]
            digits = found.round().astype(int)
            np.testing.assert_allclose(
                found, digits, atol=0.05
            )  # else a site does not drop, or drops more than its own
            assert digits.min() >= 0
            assert digits.max() < 2 ** len(sites)
            yield np.array([digits >> site & 1 for site in range(len(sites))], bool)

    def test_every_site_keeps_its_share_of_what_is_added_and_draws_for_itself(self, kit, model, name):
        first, second = (self.drawn(kit, model, name, seed) for seed in (1, 2))
        pairs = zip(self.kept(kit, model, name, first), self.kept(kit, model, name, second))
        for masks, others in pairs:
            shares = [1 - self.rate(name, site) for site in range(len(masks))]
            for mask, share in zip(masks, shares):
                assert_share(mask, share)
            for one, other in itertools.combinations(range(len(masks)), 2):
                assert_share(masks[one] & masks[other], shares[one] * shares[other])
            for mask, other, share in zip(masks, others, shares):
                assert_share(mask & other, share**2)

    def test_every_attention_drops_its_own_and_keeps_the_mean(self, kit, model, name):
        out = self.drawn(kit, model, name, 1, output_attentions=True)
        given = zoo.inputs(name, model.config, 1, length=TOKENS)
        still = kit.call(model, **given, output_attentions=True)
        found = [field for field in still if field.endswith("attentions")]
        masks = []
        for field in found:
            for weights, expected in zip(out[field], still[field]):
                weights, expected = kit.numpy(weights), kit.numpy(expected)
                seen = expected > 0
                kept = weights[seen] > 0
                assert_share(kept, 0.5)
                np.testing.assert_allclose(weights[seen][kept], 2 * expected[seen][kept], rtol=1e-5)
                assert not weights[~seen].any()
                masks.append(kept)
        for one, other in itertools.combinations(masks, 2):
            if one.size == other.size:
                assert_share(one & other, 0.25)


OWN_RATE = ("Data2VecTextForSequenceClassification", "Data2VecTextForTokenClassification")
CLASSIFIED = [
    *((name, "classifier_dropout") for name in OWN_RATE),
    *((name, rate) for name in (*zoo.CLASSIFIERS, "LxmertForQuestionAnswering") for rate in zoo.drops("bert")),
]


@pytest.mark.parametrize(("name", "rate"), CLASSIFIED)
def test_each_rate_of_a_classifier_drops_something(public, kit, name, rate):
    few = {"l_layers": 1, "r_layers": 1, "x_layers": 1} if name.startswith("Lxmert") else {"num_hidden_layers": 1}
    still = {"classifier_dropout": 0.0} if name in OWN_RATE else {}
    config = zoo.config(name, **few, **{**still, rate: 0.5}, initializer_range=0.4)
    model = kit.seeded(lambda: public(name)(config), 3)
    first, second = kit.losses(model, zoo.inputs(name, config, 1, "labels"), 3, 4)
    assert first != second
