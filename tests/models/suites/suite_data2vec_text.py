"""Data2Vec-text: positions behind the padding, losses by problem, choices, generation, and what it refuses."""

import numpy as np
import pytest
import zoo

MODEL, CAUSAL = "Data2VecTextModel", "Data2VecTextForCausalLM"
SEQUENCE, SPAN = "Data2VecTextForSequenceClassification", "Data2VecTextForQuestionAnswering"
CHOICE, TOKENS = "Data2VecTextForMultipleChoice", "Data2VecTextForTokenClassification"
PAD = 1
WIDE = {"initializer_range": 0.4}
IDS = np.array([[0, 7, 9, 11, 2, 40], [PAD, PAD, 0, 23, PAD, 5]], np.int32)
POSITIONS = np.array([[2, 3, 4, 5, 6, 7], [1, 1, 2, 3, 1, 4]], np.int32)


def made(public, name, seed=1, **changes):
    """A model with drawn weights wide enough for everything to count."""
    model = public(name)(zoo.config(name, **{**zoo.ENCODER, **WIDE, **changes}), seed=seed)
    return model.eval() if hasattr(model, "eval") else model


def states(kit, model, **given):
    return kit.numpy(zoo.main(kit.call(model, **given)))


def close(first, second):
    np.testing.assert_allclose(np.asarray(first), np.asarray(second), rtol=1e-4, atol=1e-5)


class TestPositions:
    """They count from behind the padding token's id; padding has that position itself and does not count."""

    def test_from_ids(self, public, kit):
        model = made(public, MODEL)
        counted = states(kit, model, input_ids=IDS)
        np.testing.assert_array_equal(counted, states(kit, model, input_ids=IDS, position_ids=POSITIONS))
        assert not np.allclose(counted, states(kit, model, input_ids=IDS, position_ids=POSITIONS - 1))

    def test_from_embeddings_in_order(self, public, kit):
        model = made(public, MODEL)
        table = kit.fetch(model)["embeddings.tokens.weight"]
        close(states(kit, model, inputs_embeds=table[IDS[:1]]), states(kit, model, input_ids=IDS[:1]))

    def test_behind_another_padding_token(self, public, kit):
        model = made(public, MODEL, pad_token_id=5)
        expected = np.array([[6, 7, 8, 9, 10, 11], [6, 7, 8, 9, 10, 5]], np.int32)
        np.testing.assert_array_equal(
            states(kit, model, input_ids=IDS), states(kit, model, input_ids=IDS, position_ids=expected)
        )

    @pytest.mark.parametrize("kind", ["relative_key", "relative_key_query"])
    def test_that_are_relative_are_distances_alone(self, public, kit, kind):
        model = made(public, MODEL, position_embedding_type=kind)
        plain = states(kit, model, input_ids=IDS)
        np.testing.assert_array_equal(plain, states(kit, model, input_ids=IDS, position_ids=POSITIONS))
        absolute = made(public, MODEL)
        assert not np.allclose(plain, states(kit, absolute, input_ids=IDS), atol=1e-3)
        full = np.full((1, zoo.POSITIONS + 2), 7, np.int32)  # there, padding takes no place in the table
        assert states(kit, model, input_ids=full).shape[1] == zoo.POSITIONS + 2

    def test_padding_takes_no_place_in_the_table(self, public, kit):
        model = made(public, MODEL)
        ids = np.full((2, zoo.POSITIONS + 2), 7, np.int32)
        ids[:, -2:] = PAD
        assert np.isfinite(states(kit, model, input_ids=ids)).all()
        ids[1, -1] = 7
        with pytest.raises(ValueError, match=f"input_ids: expected at most {zoo.POSITIONS} tokens .*got 21"):
            kit.call(model, input_ids=ids)
        with pytest.raises(ValueError, match=f"inputs_embeds: expected at most {zoo.POSITIONS} tokens .*got 22"):
            kit.call(model, inputs_embeds=np.zeros((1, 22, 16), np.float32))

    def test_padding_does_not_learn_from_being_looked_up(self, public, kit):
        model = made(public, SEQUENCE)
        _, found = kit.gradients(model, {"input_ids": IDS, "labels": np.array([1, 3], np.int32)})
        for name in ("tokens", "positions"):
            gradient = found[f"model.embeddings.{name}.weight"]
            np.testing.assert_array_equal(gradient[PAD], 0.0)
            assert np.abs(gradient[7]).sum() > 0 if name == "tokens" else np.abs(gradient[4]).sum() > 0


class TestDecoder:
    """With `is_decoder`: caches, cross-attention, generation."""

    @pytest.mark.parametrize("kind", ["absolute", "relative_key", "relative_key_query"])
    @pytest.mark.parametrize("name", [MODEL, CAUSAL])
    def test_two_pieces_give_what_the_whole_gives(self, public, kit, name, kind):
        model = made(public, name, is_decoder=True, add_cross_attention=True, position_embedding_type=kind)
        given = zoo.inputs(name, model.config)
        ids = given.pop("input_ids")
        whole = states(kit, model, input_ids=ids, **given)
        first = kit.call(model, input_ids=ids[:, :3], **given)
        assert [len(layer) for layer in first.past_key_values] == [4, 4]
        second = states(kit, model, input_ids=ids[:, 3:], past_key_values=first.past_key_values, **given)
        close(np.concatenate([kit.numpy(zoo.main(first)), second], axis=1), whole)

    @pytest.mark.parametrize("mode", [{}, {"no_repeat_ngram_size": 20}, {"num_beams": 2}], ids=str)
    def test_generation_continues_each_row_as_if_it_were_alone(self, public, kit, mode):
        model = made(public, CAUSAL, is_decoder=True)
        prompt = np.array([[0, 7, 9, 11], [PAD, PAD, 0, 23]], np.int32)
        settings = {"max_length": 10, "eos_token_id": 98, **mode}
        together, alone = (generate(kit, model, input_ids=p, **settings) for p in (prompt, prompt[1:, 2:]))
        length = min(together.shape[1] - 2, alone.shape[1])
        np.testing.assert_array_equal(together[1:, 2 : 2 + length], alone[:, :length])
        hidden = generate(kit, model, input_ids=prompt, attention_mask=(prompt != PAD).astype(np.int32), **settings)
        np.testing.assert_array_equal(together, hidden)

    def test_greedy_tokens_are_those_of_calls_without_a_cache(self, public, kit):
        model = made(public, CAUSAL, is_decoder=True, add_cross_attention=True)
        context = zoo.inputs(CAUSAL, model.config, 1, "encoder_attention_mask")
        context["encoder_attention_mask"][:, 5:] = 0
        context.pop("input_ids")
        tokens = np.array([[0, 7, 9], [PAD, 0, 23]], np.int32)
        got = generate(kit, model, input_ids=tokens, max_length=8, eos_token_id=98, **context)
        while tokens.shape[1] < got.shape[1]:
            mask = (np.arange(tokens.shape[1]) >= [[0], [1]]).astype(np.int32)
            logits = states(kit, model, input_ids=tokens, attention_mask=mask, **context)
            tokens = np.concatenate([tokens, logits[:, -1].argmax(-1)[:, None].astype(np.int32)], axis=1)
        np.testing.assert_array_equal(got, tokens)

    def test_without_a_prompt_one_row_begins_with_the_first_token(self, public, kit):
        tokens = generate(kit, made(public, CAUSAL, is_decoder=True), max_length=6)
        assert tokens.shape[0] == 1
        assert tokens[0, 0] == 0

    def test_generation_follows_a_change_of_architecture(self, public, kit, tmp_path):
        model = made(public, CAUSAL, is_decoder=True)
        before = generate(kit, model, input_ids=IDS[:1, :4], max_length=8)
        model.prune_heads({0: [1, 2], 1: [0]})
        model.resize_token_embeddings(zoo.VOCABULARY + 3)
        model.save_pretrained(tmp_path)
        again = public(CAUSAL).from_pretrained(tmp_path)
        after, expected = (generate(kit, each, input_ids=IDS[:1, :4], max_length=8) for each in (model, again))
        np.testing.assert_array_equal(after, expected)
        assert not np.array_equal(after, before)
        ids = np.array([[0, zoo.VOCABULARY + 2]], np.int32)
        assert generate(kit, model, input_ids=ids, max_length=6).shape == (1, 6)

    def test_what_cannot_be_generated_is_refused(self, public, kit):
        model = made(public, CAUSAL, is_decoder=True)
        ids = IDS[:1, :4]
        for words, arguments in (
            ("max_length: expected at most 21", {"input_ids": ids, "max_length": 22}),
            ("generate: unknown argument 'token_type_ids'; it takes input_ids, ", {"input_ids": ids, "token_type_ids": ids}),
            (r"input_ids: expected values in \[0, 99\)", {"input_ids": ids + 99}),
            ("encoder_hidden_states: expected a model with cross", {
                "input_ids": ids, "encoder_hidden_states": np.zeros((1, 3, 16), np.float32),
            }),
        ):  # fmt: skip
            with pytest.raises(ValueError, match=words):
                generate(kit, model, **arguments)
        with pytest.raises(ValueError, match="generate: expected a decoder"):
            generate(kit, made(public, CAUSAL), input_ids=ids)

    def test_it_is_the_decoder_of_an_image_to_text_model(self, public, kit):
        config = zoo.config(zoo.COMPOSITE, "data2vec-text", decoder_start_token_id=PAD, pad_token_id=PAD)
        config.decoder.override(**WIDE)
        model = public(zoo.COMPOSITE)(config, seed=3)
        image = zoo.inputs(zoo.COMPOSITE, config)["pixel_values"]
        got = generate(kit, model, pixel_values=image, max_length=7, eos_token_id=98)
        tokens = np.full((2, 1), PAD, np.int32)  # the start token is padding: it takes no position, cached or not
        while tokens.shape[1] < got.shape[1]:
            logits = states(kit, model, pixel_values=image, decoder_input_ids=tokens)
            tokens = np.concatenate([tokens, logits[:, -1].argmax(-1)[:, None].astype(np.int32)], axis=1)
        np.testing.assert_array_equal(got, tokens)


def generate(kit, model, **arguments):
    answer = model.generate(**{name: kit.array(value) for name, value in arguments.items()})
    return kit.numpy(answer.sequences if kit.NAME == "flax" else answer)


class TestLosses:
    """Each is the documented one, in NumPy."""

    def loss(self, kit, model, **labels):
        out = kit.call(model, input_ids=IDS, **labels)
        return float(out.loss), out

    def test_class_ids_are_a_cross_entropy_that_leaves_negative_ones_out(self, public, kit):
        model = made(public, SEQUENCE)
        for labels in (np.array([3, 1], np.int32), np.array([3, -100], np.int32)):
            loss, out = self.loss(kit, model, labels=labels)
            assert loss == pytest.approx(cross_entropy(kit.numpy(out.logits), labels), rel=1e-4)

    def test_floats_are_shares_of_every_label(self, public, kit):
        model = made(public, SEQUENCE)
        labels = np.array([[1, 0, 0.5, 1], [0, 0, 1, 0.25]], np.float32)
        loss, out = self.loss(kit, model, labels=labels)
        scores = kit.numpy(out.logits).astype(np.float64)
        expected = (np.logaddexp(0, scores) - scores * labels).mean()
        assert loss == pytest.approx(expected, rel=1e-4)
        assert model.config.problem_type is None  # the next call may come with ids
        model.config.problem_type = "multi_label_classification"
        whole = (labels > 0.3).astype(np.int32)
        assert self.loss(kit, model, labels=whole)[0] == self.loss(kit, model, labels=whole.astype(np.float32))[0]

    @pytest.mark.parametrize("shape", [(2,), (2, 1)], ids=str)
    def test_one_label_is_a_regression(self, public, kit, shape):
        model = made(public, SEQUENCE, num_labels=1)
        labels = np.array([0.5, -2.0], np.float32)
        loss, out = self.loss(kit, model, labels=labels.reshape(shape))
        assert loss == pytest.approx(((kit.numpy(out.logits)[:, 0] - labels) ** 2).mean(), rel=1e-4)

    def test_several_labels_may_be_a_regression_too(self, public, kit):
        model = made(public, SEQUENCE, problem_type="regression")
        labels = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)
        loss, out = self.loss(kit, model, labels=labels)
        assert loss == pytest.approx(((kit.numpy(out.logits) - labels) ** 2).mean(), rel=1e-4)

    def test_an_answer_s_loss_is_the_mean_of_both_ends_and_leaves_out_what_is_outside(self, public, kit):
        model = made(public, SPAN)
        first, last = np.array([1, 9], np.int32), np.array([[-1], [5]], np.int32)
        loss, out = self.loss(kit, model, start_positions=first, end_positions=last)
        starts, ends = kit.numpy(out.start_logits), kit.numpy(out.end_logits)
        expected = (cross_entropy(starts[:1], first[:1]) + cross_entropy(ends[1:], last[1])) / 2
        assert loss == pytest.approx(expected, rel=1e-4)

    def test_choices_are_scored_each_by_itself(self, public, kit):
        model = made(public, CHOICE)
        given = zoo.inputs(CHOICE, model.config, 1, "attention_mask", "token_type_ids", "labels")
        given["attention_mask"][0, 1, 3:] = 0
        out = kit.call(model, **given)
        scores = kit.numpy(out.logits)
        assert float(out.loss) == pytest.approx(cross_entropy(scores, given.pop("labels")), rel=1e-4)
        for choice in range(zoo.CHOICES):
            alone = {name: value[:, choice : choice + 1] for name, value in given.items()}
            close(states(kit, model, **alone)[:, 0], scores[:, choice])


def cross_entropy(scores, labels):
    """The mean over the labels that are not negative."""
    scores = scores.astype(np.float64)
    scores = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    kept = labels >= 0
    return -np.take_along_axis(scores, np.where(kept, labels, 0)[..., None], -1)[..., 0][kept].mean()


SINGLE, MULTI = {"problem_type": "single_label_classification"}, {"problem_type": "multi_label_classification"}
ONES = np.ones((2, 4), np.float32)
WRONG_LABELS = {
    "ids of another count": (SEQUENCE, SINGLE, np.zeros(3, np.int32), ("(batch=2,)", "(3,)")),
    "ids for every label": (SEQUENCE, SINGLE, ONES.astype(np.int32), ("(batch=2,)", "(2, 4)", "multi_label")),
    "ids beyond the labels": (SEQUENCE, SINGLE, np.array([0, 4], np.int32), ("[-100, 4)", "4")),
    "ids that are floats": (SEQUENCE, SINGLE, np.zeros(2, np.float32), ("integers", "float32")),
    "shares of too few labels": (SEQUENCE, MULTI, ONES[:, :3], ("(batch=2, labels=4)", "(2, 3)")),
    "shares above one": (SEQUENCE, MULTI, ONES * 1.5, ("[0, 1]", "1.5")),
    "shares below zero": (SEQUENCE, MULTI, -0.25 * ONES, ("[0, 1]", "-0.25")),
    "shares that are no numbers": (SEQUENCE, MULTI, ONES * np.nan, ("[0, 1]", "nan")),
    "several numbers for one": (SEQUENCE, {"num_labels": 1}, ONES, ("(batch=2, labels=1) or (batch=2,)", "(2, 4)")),
    "a choice that is not there": (CHOICE, {}, np.array([0, 3], np.int32), ("[-100, 3)", "3")),
    "labels for other tokens": (TOKENS, {}, np.zeros((2, 4), np.int32), ("(batch=2, length=5)", "(2, 4)")),
}


@pytest.mark.parametrize("wrong", WRONG_LABELS)
def test_wrong_labels_are_refused_by_what_they_mean(public, kit, wrong):
    name, changes, labels, words = WRONG_LABELS[wrong]
    model = made(public, name, **changes)
    with pytest.raises(ValueError, match=r"^labels: expected") as caught:
        kit.call(model, **zoo.inputs(name, model.config), labels=labels)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_choices_of_another_number_are_refused(public, kit):
    model = made(public, CHOICE)
    given = zoo.inputs(CHOICE, model.config)
    with pytest.raises(
        ValueError, match=r"attention_mask: expected shape \(batch=2, choices=3, length=5\), got \(2, 2, 5\)"
    ):
        kit.call(model, **given, attention_mask=np.ones((2, 2, 5), np.int32))
    labels = {"labels": np.array([0, 3], np.int32)}  # checked though what is chosen from comes behind
    embeddings = np.zeros((2, 3, 5, 16), np.float32)
    with pytest.raises(ValueError, match=r"labels: expected values in \[-100, 3\)"):
        kit.call(model, inputs_embeds=embeddings, **labels)


def test_a_vocabulary_without_the_padding_token_is_refused(public):
    model = made(public, MODEL)
    with pytest.raises(ValueError, match=r"pad_token_id: expected an integer in \[0, 1\)"):
        model.resize_token_embeddings(1)
    assert model.config.vocab_size == zoo.VOCABULARY


@pytest.mark.parametrize("pad", [None, -1, 99, 19])
def test_a_padding_token_needs_a_place_in_both_tables(pad):
    with pytest.raises(ValueError, match=r"pad_token_id: expected an integer in \[0, 19\)"):
        zoo.half("data2vec-text", pad_token_id=pad, max_position_embeddings=20)
