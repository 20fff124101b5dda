"""What Keras' users train with: policies, targets, weights of rows, metrics, lists of numbers."""

import copy
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import zoo

from multimodal import BatchEncoding, specs
from multimodal.numeric.interpolation import bilinear_matrix
from multimodal.tf import training

POLICIES = {"mixed_bfloat16": tf.bfloat16, "mixed_float16": tf.float16}
WITH_LOSS = tuple(name for name in zoo.CLASSES if specs.of(name).targets)
WITH_CLASSES = tuple(
    name
    for name in WITH_LOSS
    if any(t.field and specs.of(name).argument(t.argument).kind != "share" for t in specs.of(name).targets)
)
"""Those with labels that say a class of a field's scores, and not how sure a yes is."""
WITHOUT_SCORES = tuple(name for name in WITH_LOSS if not any(target.field for target in specs.of(name).targets))
"""Those whose loss compares labels with no field of the output."""


@pytest.fixture
def model(loaded, class_name):
    return loaded(class_name)


def labelled(name, of):
    return zoo.inputs(name, of, 1, *zoo.LABELS)


def compiled(model, optimizer=None, **options):
    model.compile(optimizer=optimizer or keras.optimizers.SGD(0.05), run_eagerly=True, **options)
    return model


# Policies


def test_a_mixed_policy_computes_narrowly_and_keeps_its_variables(load, model, class_name):
    mixed = load(class_name, dtype="mixed_bfloat16")
    assert {variable.dtype for variable in mixed.named_tensors().values()} == {"float32"}
    given = labelled(class_name, mixed.config)
    found, wide = mixed(given), model(given)
    assert list(found) == list(wide)
    fractions = [
        name for name in found if tf.is_tensor(found[name]) and (np.asarray(wide[name]) % 1).any()
    ]  # no masks, ids
    assert {found[name].dtype for name in fractions if name != "loss"} == {tf.bfloat16}
    for name in fractions:
        ours, wanted = np.asarray(tf.cast(found[name], tf.float32)), np.asarray(wide[name])
        assert np.linalg.norm(ours - wanted) <= 0.06 * np.linalg.norm(wanted), name
        assert not np.array_equal(ours, wanted) or name == "loss"
    if class_name in WITH_LOSS:
        assert found.loss.dtype == tf.float32


@pytest.mark.parametrize("name", ["Data2VecTextForSequenceClassification", "ViTModel", zoo.COMPOSITE])
def test_the_global_policy_counts_where_no_type_is_given(load, name):
    given, expected = None, {}
    for policy in (*POLICIES, "float64"):
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            models = [load(name), load(name, dtype="float32")]
        finally:
            keras.config.set_dtype_policy(before)
        assert [made.dtype_policy.name for made in models] == [policy, "float32"]
        given = given or zoo.inputs(name, models[0].config)
        expected[policy] = zoo.main(load(name, dtype=keras.DTypePolicy(policy))(given))
        np.testing.assert_array_equal(zoo.main(models[0](given)), expected[policy])
        assert expected[policy].dtype == POLICIES.get(policy, tf.float64)


def test_other_policies_are_refused(public):
    with pytest.raises(ValueError, match=r"dtype: expected one of float64, .*mixed_float16, got 'mixed_float8'"):
        public("ViTModel")(zoo.config("ViTModel"), dtype="mixed_float8")
    with pytest.raises(ValueError, match="dtype: expected one of float64"):
        public("ViTModel")(zoo.config("ViTModel"), dtype=keras.dtype_policies.DTypePolicyMap())


@pytest.mark.parametrize("name", [
    "Data2VecTextForSequenceClassification", pytest.param("LxmertForPreTraining", marks=pytest.mark.nightly),
    pytest.param(zoo.COMPOSITE, marks=pytest.mark.nightly),
])  # fmt: skip
@pytest.mark.parametrize("policy", POLICIES)
def test_fit_learns_under_a_mixed_policy(load, name, policy):
    model = compiled(load(name, dtype=policy), keras.optimizers.SGD(0.01))
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    given = labelled(name, model.config)
    wide = compiled(load(name), keras.optimizers.SGD(0.01))
    # a scaled loss may overflow at first: Keras then leaves the step out and halves the scale
    history = model.fit(given, epochs=12 if scaled else 2, verbose=0).history["loss"]
    expected = wide.fit(given, epochs=2, verbose=0).history["loss"]
    assert history[0] == pytest.approx(expected[0], rel=0.02)
    moved = next(loss for loss in history if abs(loss - history[0]) > 1e-3)
    assert moved - history[0] == pytest.approx(expected[1] - expected[0], rel=0.1)


def test_a_mixed_policy_goes_into_halves_and_files(load, public):
    model = load(zoo.COMPOSITE, dtype="mixed_bfloat16")
    assert {half.dtype_policy.name for half in model.halves.values()} == {"mixed_bfloat16"}
    made = public(zoo.COMPOSITE)(encoder=model.encoder, decoder=model.decoder)
    assert made.dtype_policy.name == "mixed_bfloat16"
    again = copy.deepcopy(model)
    assert again.dtype_policy.name == "mixed_bfloat16"


@pytest.mark.nightly
def test_generation_is_of_the_policy_s_scores(load):
    model = load(zoo.COMPOSITE, dtype="mixed_bfloat16")
    image = zoo.inputs(zoo.COMPOSITE, model.config)["pixel_values"]
    tokens = model.generate(image, max_length=4, eos_token_id=None, decoder_start_token_id=1)
    ids = np.asarray(tokens)[:, :-1]
    logits = np.asarray(tf.cast(model(pixel_values=image, decoder_input_ids=ids).logits, tf.float32))
    chosen = np.take_along_axis(logits, np.asarray(tokens)[:, 1:, None], -1)[..., 0]
    assert (chosen >= logits.max(-1) * 0.9 - 0.1).all()


def test_labels_are_not_rounded_by_a_mixed_policy(load):
    model = load("Data2VecTextForSequenceClassification", dtype="mixed_bfloat16", num_labels=1,
                 ignore_mismatched_sizes=True)  # fmt: skip
    given = zoo.inputs("Data2VecTextForSequenceClassification", model.config)
    labels = np.float32([1000.5, -1000.25])  # bfloat16 has eight bits
    out = model(**given, labels=labels)
    wanted = np.mean((np.asarray(tf.cast(out.logits, tf.float32))[:, 0] - labels) ** 2)
    assert float(out.loss) == pytest.approx(float(wanted), rel=1e-6)


def test_noise_is_not_rounded_by_a_mixed_policy(load):
    """Which patches have the most of it would change."""
    wide, mixed = load("TvltModel"), load("TvltModel", dtype="mixed_bfloat16")
    given = zoo.inputs("TvltModel", wide.config)
    noise = (
        0.5 + np.arange(given["pixel_noise"].size, dtype=np.float32).reshape(given["pixel_noise"].shape)[:, ::-1] * 1e-5
    )
    given["pixel_noise"] = noise.copy()
    np.testing.assert_array_equal(mixed(given).pixel_ids_restore, wide(given).pixel_ids_restore)
    assert np.asarray(wide(given).pixel_ids_restore)[0, -1] == 0


@pytest.mark.parametrize("name", ["BertModel", "GPT2LMHeadModel"])
def test_embeddings_and_caches_of_a_wider_type_go_into_a_mixed_policy(load, loaded, name):
    wide, mixed = loaded(name), load(name, dtype="mixed_bfloat16")
    given = zoo.inputs(name, wide.config)
    past = wide(given, use_cache=True).past_key_values
    vectors = np.array(wide.get_input_embeddings()(given.pop("input_ids")))
    found = mixed(inputs_embeds=vectors, past_key_values=past, **given)
    wanted = np.asarray(wide(inputs_embeds=vectors, past_key_values=past, **given)[0])
    assert found[0].dtype == tf.bfloat16
    assert np.linalg.norm(np.asarray(tf.cast(found[0], tf.float32)) - wanted) <= 0.06 * np.linalg.norm(wanted)


def test_recomputed_blocks_have_the_same_gradient_under_a_mixed_policy(load, kit):
    found = []
    for recompute in (False, True):
        model = load(zoo.COMPOSITE, dtype="mixed_bfloat16")
        if recompute:
            model.gradient_checkpointing_enable()
        found.append(kit.gradients(model, labelled(zoo.COMPOSITE, model.config), seed=1)[1])
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        if not name.endswith("key.bias"):  # zero in exact arithmetic
            assert np.linalg.norm(found[1][name] - gradient) <= 0.05 * np.linalg.norm(gradient), name


# Targets, weights, metrics


def test_every_loss_says_what_it_compares(class_name):
    spec = specs.of(class_name)
    known = {a.name for a in (*spec.arguments, *spec.extra["tf"])}
    assert bool(spec.targets or "return_loss" in known) == bool(spec.loss) == ("loss" in spec.output.fields)
    assert {target.argument for target in spec.targets} <= known
    assert {target.field for target in spec.targets} - {""} <= {field.name for field in spec.fields}


def scores_of(target, out, labels):
    """The scores (..., classes) that labels are compared with; of a map of cells those of each pixel."""
    scores = np.asarray(out[target.field])
    if not target.cells:
        return scores
    rows, columns = (bilinear_matrix(*lengths) for lengths in zip(scores.shape[2:], labels.shape[1:]))
    return np.einsum("ij,bcjk,lk->bilc", rows, scores, columns)


def shares_right(name, model, given):
    """{field: share of the labels that count whose class has the highest score}, by NumPy."""
    out, found = model(given), {}
    for target in specs.of(name).targets:
        labels = given.get(target.argument)
        if not target.field or labels is None:
            continue
        scores = scores_of(target, out, labels)
        if target.ahead:
            labels, scores = labels[:, 1:], scores[:, :-1]
        counts = (labels >= 0) & (labels < scores.shape[-1])
        found[target.field] = float((scores.argmax(-1) == labels)[counts].mean())
    return found


def answering(name, model):
    """Labels of which a part is right and another does not count."""
    given = labelled(name, model.config)
    out = model(given)
    for target in specs.of(name).targets:
        labels = given.get(target.argument)
        if not target.field or labels is None:
            continue
        right = scores_of(target, out, labels).argmax(-1).astype(labels.dtype)
        if target.ahead:
            right = np.concatenate([labels[:, :1], right[:, :-1]], 1)
        labels[0] = right[0]
        if labels.ndim > 1:
            labels[:, -1] = 255 if target.cells else -100
    return given


@pytest.mark.parametrize("name", WITH_CLASSES)
def test_accuracy_is_that_of_the_labels_that_count(load, name):
    model = load(name)
    given = answering(name, model)
    wanted = shares_right(name, model, given)
    one = len(wanted) == 1
    expected = {"accuracy" if one else f"{field}_accuracy": share for field, share in wanted.items()}
    assert any(expected.values())
    for metrics in (["accuracy"], {field: ["accuracy"] for field in wanted}):
        found = compiled(model, metrics=metrics).evaluate(given, verbose=0, return_dict=True)
        assert found == pytest.approx({"loss": float(model(given).loss), **expected}, rel=1e-5)


def test_accuracy_leaves_out_the_class_that_the_configuration_ignores(public):
    name = "Data2VecVisionForSemanticSegmentation"
    model = public(name)(zoo.config(name, semantic_loss_ignore_index=1))
    given = labelled(name, model.config)
    (target,) = specs.of(name).targets
    labels = scores_of(target, model(given), given[target.argument]).argmax(-1).astype(np.int32)
    labels[..., ::2] = 1  # wrong nearly everywhere
    found = compiled(model, metrics=["accuracy"]).evaluate(
        given | {target.argument: labels}, verbose=0, return_dict=True
    )
    assert found["accuracy"] == pytest.approx(1.0)


@pytest.mark.parametrize("name", WITHOUT_SCORES)
def test_metrics_of_a_loss_that_no_field_is_compared_by_are_refused(load, name):
    model = compiled(load(name), metrics=["accuracy"])
    given = labelled(name, model.config)
    with pytest.raises(ValueError, match=f"metrics: expected none beside {name}'s own loss"):
        model.evaluate(given, verbose=0)


def test_metrics_go_by_in_fit_and_with_targets_that_are_given_apart(public):
    name = "GPT2LMHeadModel"
    model = public(name)(zoo.config(name, n_layer=1, add_cross_attention=False))
    given = answering(name, model)
    expected = shares_right(name, model, given)["logits"]
    labels = given.pop("labels")
    model.compile(
        optimizer=keras.optimizers.SGD(0.05),
        metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(zoo.VOCABULARY, name="top")],
    )
    history = model.fit(given, labels, epochs=1, verbose=0, validation_data=(given, labels)).history
    assert history["accuracy"] == pytest.approx([expected])
    assert history["top"] == history["val_top"] == [1.0]
    assert history.keys() == {f"{prefix}{name}" for prefix in ("", "val_") for name in ("loss", "accuracy", "top")}


def test_metrics_of_numbers_to_come_close_to(load):
    name = "Data2VecTextForSequenceClassification"
    model = load(name, num_labels=1, ignore_mismatched_sizes=True)
    given = zoo.inputs(name, model.config) | {"labels": np.array([1, 3])}
    found = compiled(model, metrics=["mae"]).evaluate(given, verbose=0, return_dict=True)
    assert found["mae"] == pytest.approx(np.abs(np.asarray(model(given).logits)[:, 0] - [1, 3]).mean(), rel=1e-5)


def test_metrics_that_nothing_is_there_for_are_named(load):
    model = load("LxmertForPreTraining")
    given = {k: v for k, v in labelled("LxmertForPreTraining", model.config).items() if k not in ("ans", "labels")}
    found = compiled(model, metrics=["accuracy"]).evaluate(given, verbose=0, return_dict=True)
    assert found.keys() == {"loss", "accuracy"}
    with pytest.raises(ValueError, match="metrics: expected labels for cross_relationship_score, got none"):
        model.evaluate({**{k: v for k, v in given.items() if k != "matched_label"}, "ans": np.int32([1, 2])}, verbose=0)
    with pytest.raises(
        ValueError, match="metrics: expected fields with labels, cross_relationship_score, got 'logits'"
    ):
        compiled(model, metrics={"logits": "accuracy"}).evaluate(given, verbose=0)


def test_targets_are_given_apart_by_name_or_in_order(load):
    model = compiled(load("Data2VecTextForQuestionAnswering"))
    given = labelled("Data2VecTextForQuestionAnswering", model.config)
    expected = model.evaluate(given, verbose=0)
    names = ("start_positions", "end_positions")
    apart = {name: given.pop(name) for name in names}
    assert model.evaluate(given, apart, verbose=0) == expected
    assert model.evaluate(given, [apart[name] for name in names], verbose=0) == expected
    with pytest.raises(ValueError, match="y: expected targets among start_positions, end_positions, got 'labels'"):
        model.evaluate(given, {"labels": apart["start_positions"]}, verbose=0)
    with pytest.raises(ValueError, match="start_positions: expected it among the inputs or as targets, got both"):
        model.evaluate({**given, **apart}, apart, verbose=0)


def test_weights_of_rows_need_a_loss_that_keras_weighs(load):
    model = compiled(load("Data2VecTextForSequenceClassification"))
    given = labelled("Data2VecTextForSequenceClassification", model.config)
    labels, weights = given.pop("labels"), np.float32([1.0, 0.0])
    for step in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=r"sample_weight: expected None .* with the model's own loss"):
            step(given, labels, sample_weight=weights, verbose=0)
    with pytest.raises(ValueError, match=r"sample_weight: expected None \(and no class_weight\)"):
        model.fit(given, labels, class_weight=dict.fromkeys(range(zoo.NUM_LABELS), 1.0), verbose=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    compiled(model, loss=loss)
    found = model.evaluate(given, labels, sample_weight=weights, verbose=0)
    first = {name: value[:1] for name, value in given.items()}
    assert found == pytest.approx(float(model({**first, "labels": labels[:1]}).loss), rel=1e-5)


def test_two_devices_share_the_loss_that_is_reported_whole(load, monkeypatch):
    model = compiled(load("BertLMHeadModel"))
    given = labelled("BertLMHeadModel", model.config)
    own = float(model(given).loss)
    monkeypatch.setattr(training, "replicas", lambda: 2)
    assert float(model.compute_loss(given, None, model(given))) == pytest.approx(own / 2)
    assert model.evaluate(given, verbose=0) == pytest.approx(own, rel=1e-5)


@pytest.mark.parametrize("name", ["GPT2LMHeadModel", "Data2VecTextForSequenceClassification", zoo.COMPOSITE])
def test_a_compiled_loss_and_its_metrics_are_of_the_scores(load, name):
    model, loss = load(name), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    given = labelled(name, model.config)
    labels = given["labels"]
    if name != zoo.COMPOSITE:  # which makes its inputs of them
        given.pop("labels")
    scores = np.asarray(model(given).logits)
    expected = {"loss": float(loss(labels, scores)), "accuracy": float((scores.argmax(-1) == labels).mean())}
    found = compiled(model, loss=loss, metrics=["accuracy"]).evaluate(given, labels, verbose=0, return_dict=True)
    assert found == pytest.approx(expected, rel=1e-5)
    compiled(model, loss={"logits": loss}, metrics={"logits": ["accuracy"]})
    assert model.evaluate(given, {"logits": labels}, verbose=0) == pytest.approx(list(expected.values()), rel=1e-5)
    with pytest.raises(ValueError, match=r"y: expected fields of the output, .*logits.*, got 'logit'"):
        model.evaluate(given, {"logit": labels}, verbose=0)


# Lists


def listed(value: Any) -> Any:
    """Every array as nested lists of numbers."""
    if isinstance(value, dict):
        return {key: listed(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(map(listed, value))
    return value.tolist() if hasattr(value, "tolist") else value


def test_lists_of_numbers_are_arrays(model, class_name):
    given = labelled(class_name, model.config)
    expected = model(given)
    plain = listed(given)
    first = specs.of(class_name).names()[0]
    others = {name: value for name, value in plain.items() if name != first}
    for found in (model(**plain), model(plain), model(BatchEncoding(plain)), model(plain[first], **others)):
        assert list(found) == list(expected)
        np.testing.assert_array_equal(np.asarray(zoo.main(found)), np.asarray(zoo.main(expected)))
        if "loss" in expected:
            np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-6)


def test_lists_of_several_lengths_are_refused(model, class_name):
    given = listed(zoo.inputs(class_name, model.config))
    for name in given:
        ragged = copy.deepcopy(given)
        ragged[name][0] = ragged[name][0][:-1]
        with pytest.raises(
            ValueError, match=rf"{name}: expected lists of one length .*, got rows of \d+ and \d+ items"
        ):
            model(ragged)


@pytest.mark.parametrize("name", ["Data2VecTextForSequenceClassification", "LxmertForQuestionAnswering", zoo.COMPOSITE])
def test_fit_takes_lists_of_numbers_and_a_tokenizer_s_output(load, name):
    model = compiled(load(name))
    given = labelled(name, model.config)
    labels = given.pop("labels")
    expected = model.evaluate(given, labels, verbose=0)
    plain = BatchEncoding(listed(given))
    assert model.evaluate(plain, labels.tolist(), verbose=0) == expected
    history = model.fit(plain, labels.tolist(), validation_data=(plain, labels.tolist()), verbose=0).history
    assert history["loss"] == pytest.approx([expected], rel=1e-5)
    np.testing.assert_array_equal(zoo.main(model.predict(plain, verbose=0)), zoo.main(model.predict(given, verbose=0)))
