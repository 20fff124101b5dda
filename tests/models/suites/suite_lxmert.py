"""What LXMERT alone does: losses of five tasks and what switches them, soft answers, regions and boxes."""

import itertools

import numpy as np
import pytest
import zoo

from multimodal import LxmertConfig, specs

PRETRAINING, QA = "LxmertForPreTraining", "LxmertForQuestionAnswering"
TASKS = zoo.LABELS
PARTIAL = {
    "labels": ("masked_lm_loss",),
    "obj_labels": ("visual_obj_loss", "visual_attr_loss", "visual_feat_loss"),
    "matched_label": ("matched_loss",),
    "ans": ("question_answering_loss",),
}
LOSSES = tuple(loss for losses in PARTIAL.values() for loss in losses)


def labelled(of, *more):
    """Inputs with the labels of every task."""
    return zoo.inputs(PRETRAINING, of, 1, *TASKS, *more)


def partial(kit, out):
    return {name: float(kit.numpy(getattr(out, name))) for name in LOSSES if getattr(out, name) is not None}


def cross_entropy(logits, labels):
    """The mean over the labels that are not negative, in NumPy."""
    logits = logits.astype(np.float64)
    scores = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    kept = labels >= 0
    return -np.take_along_axis(scores, np.where(kept, labels, 0)[..., None], -1)[..., 0][kept].mean()


class TestLosses:
    @pytest.fixture
    def model(self, loaded):
        return loaded(PRETRAINING)

    def test_the_loss_is_the_sum_of_those_beside_it(self, kit, model):
        out = kit.once(model, **labelled(model.config))
        found = partial(kit, out)
        assert set(found) == set(LOSSES)
        assert float(out.loss) == pytest.approx(sum(found.values()), rel=1e-5)

    def test_losses_beside_the_total_are_looked_up_and_no_part_of_the_tuple(self, kit, model):
        given = labelled(model.config)
        out = kit.call(model, **given)
        assert out["masked_lm_loss"] is out.masked_lm_loss
        assert not set(LOSSES) & set(out)
        assert len(out.to_tuple()) == len(kit.call(model, **given, return_dict=False)) == len(out) == 4
        assert kit.call(model, **zoo.inputs(PRETRAINING, model.config)).masked_lm_loss is None

    def test_losses_of_classes_are_cross_entropies(self, kit, model):
        given = labelled(model.config)
        given["labels"][0, 2] = given["labels"][1, 0] = -100
        out = kit.call(model, **given)
        assert float(out.masked_lm_loss) == pytest.approx(
            cross_entropy(kit.numpy(out.prediction_logits), given["labels"]), rel=1e-5
        )
        assert float(out.matched_loss) == pytest.approx(
            cross_entropy(kit.numpy(out.cross_relationship_score), given["matched_label"]), rel=1e-5
        )
        assert float(out.question_answering_loss) == pytest.approx(
            cross_entropy(kit.numpy(out.question_answering_score), given["ans"]), rel=1e-5
        )

    @pytest.mark.parametrize("key", ["obj", "attr", "feat"])
    def test_an_object_counts_as_much_as_the_detector_is_sure_of_it(self, kit, model, key):
        given = labelled(model.config)
        wanted, _ = given["obj_labels"][key]

        def loss(confidences):
            given["obj_labels"][key] = wanted, confidences.astype(np.float32)
            return float(kit.call(model, **given)[f"visual_{key}_loss"])

        ones = np.ones((zoo.BATCH, zoo.OBJECTS))
        each = [loss(ones * (np.arange(zoo.OBJECTS) == index)) for index in range(zoo.OBJECTS)]
        assert sum(each) == pytest.approx(loss(ones), rel=1e-5)
        assert len(set(each)) == zoo.OBJECTS
        assert loss(ones * 0.5) == pytest.approx(loss(ones) / 2, rel=1e-5)
        assert loss(ones * 0) == 0

    def test_an_object_without_a_class_counts_nothing(self, kit, model):
        given = labelled(model.config)
        classes, confidences = given["obj_labels"]["obj"]
        full = float(kit.call(model, **given).visual_obj_loss)
        classes[:, 3] = -100
        less = float(kit.call(model, **given).visual_obj_loss)
        confidences[:, 3] = 0
        assert less == pytest.approx(float(kit.call(model, **given).visual_obj_loss), rel=1e-6)
        assert less != full

    def test_inputs_embeds_take_every_combination_of_labels(self, kit, model):
        given = labelled(model.config)
        table = kit.fetch(model)["model.embeddings.tokens.weight"]
        plain = {name: value for name, value in given.items() if name not in TASKS}
        embedded = {name: value for name, value in plain.items() if name != "input_ids"}
        embedded["inputs_embeds"] = table[given["input_ids"]]
        whole = partial(kit, kit.call(model, **given))
        for count in range(len(TASKS) + 1):
            for chosen in itertools.combinations(TASKS, count):
                out = kit.call(model, **embedded, **{name: given[name] for name in chosen})
                wanted = {loss: whole[loss] for task in chosen for loss in PARTIAL[task]}
                assert partial(kit, out) == pytest.approx(wanted, rel=1e-5)
                assert (out.loss is None) == (not chosen)
                assert not chosen or float(out.loss) == pytest.approx(sum(wanted.values()), rel=1e-5)

    def test_some_kinds_of_object_labels_may_be_left_out(self, kit, model):
        given = labelled(model.config)
        del given["obj_labels"]["attr"]
        assert set(LOSSES) - set(partial(kit, kit.call(model, **given))) == {"visual_attr_loss"}

    def test_masked_lm_labels_are_labels(self, kit, model):
        given = zoo.inputs(PRETRAINING, model.config, 1, "labels")
        expected = float(kit.call(model, **given).loss)
        given["masked_lm_labels"] = given.pop("labels")
        assert float(kit.call(model, **given).loss) == expected
        refused(kit, model, "labels / masked_lm_labels", "at most one", **given, labels=given["masked_lm_labels"])
        given["masked_lm_labels"] = given["masked_lm_labels"] * 0 + zoo.VOCABULARY
        refused(kit, model, "masked_lm_labels", f"[-100, {zoo.VOCABULARY})", **given)

    def test_padding_vectors_get_no_gradient_from_being_looked_up(self, load, kit):
        model = load(QA)
        given = zoo.inputs(QA, model.config, 1, "labels")
        given["input_ids"][0, 1] = 0
        _, found = kit.gradients(model, given)
        for table in ("tokens", "positions", "types"):
            gradient = found[f"model.embeddings.{table}.weight"]
            assert not gradient[0].any()
            assert gradient[1:].any() != (table == "types")  # every token is of the first type


SWITCHES = {
    "task_mask_lm": ("masked_lm_loss",),
    "task_matched": ("matched_loss",),
    "task_obj_predict": PARTIAL["obj_labels"],
    "task_qa": ("question_answering_loss",),
    "visual_obj_loss": ("visual_obj_loss",),
    "visual_attr_loss": ("visual_attr_loss",),
    "visual_feat_loss": ("visual_feat_loss",),
}
"""What goes with each task that is switched off."""
HEADS = {
    "task_obj_predict": "obj_predict_head.",
    "task_qa": "answer_head.",
    "visual_obj_loss": "obj_predict_head.decoder_dict.obj.",
    "visual_attr_loss": "obj_predict_head.decoder_dict.attr.",
    "visual_feat_loss": "obj_predict_head.decoder_dict.feat.",
}


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_task_that_is_switched_off_takes_its_loss_and_its_head(loaded, load, kit, switch):
    model, less = loaded(PRETRAINING), load(PRETRAINING, **{switch: False})
    given = labelled(model.config)
    before, after = kit.call(model, **given), kit.call(less, **given)
    whole = partial(kit, before)
    assert partial(kit, after) == pytest.approx({k: v for k, v in whole.items() if k not in SWITCHES[switch]}, rel=1e-5)
    assert abs(float(after.loss) - float(before.loss)) > 1e-3
    assert ("question_answering_score" in after) == (switch != "task_qa")
    gone = {name for name in model.published_tensors() if name.startswith(HEADS.get(switch, "none"))}
    assert gone or switch not in HEADS
    assert less.published_tensors().keys() == model.published_tensors().keys() - gone
    assert set(less.load_report.unused) == gone


def test_labels_of_tasks_that_are_switched_off_give_no_loss(load, kit):
    model = load(PRETRAINING, task_mask_lm=False)
    assert "loss" not in kit.call(model, **zoo.inputs(PRETRAINING, model.config, 1, "labels"))


def test_the_normalizer_scales_the_losses_about_objects(loaded, load, kit):
    given = labelled(loaded(PRETRAINING).config)
    before = partial(kit, kit.call(loaded(PRETRAINING), **given))
    after = partial(kit, kit.call(load(PRETRAINING, visual_loss_normalizer=2 * 6.67), **given))
    assert after == pytest.approx({k: v * (2 if k.startswith("visual_") else 1) for k, v in before.items()}, rel=1e-5)


@pytest.mark.parametrize(("name", "argument"), [(PRETRAINING, "ans"), (QA, "labels")])
class TestAnswers:
    def targets(self, rng, of):
        return rng.uniform(size=(zoo.BATCH, of.num_qa_labels)).astype(np.float32)

    def test_soft_targets_are_a_binary_cross_entropy_summed_over_the_answers(self, loaded, kit, name, argument):
        model = loaded(name)
        targets = self.targets(np.random.default_rng(0), model.config)
        out = kit.call(model, **zoo.inputs(name, model.config), **{argument: targets})
        right = 1 / (1 + np.exp(-kit.numpy(out.question_answering_score).astype(np.float64)))
        each = -targets * np.log(right) - (1 - targets) * np.log(1 - right)
        assert float(out.loss) == pytest.approx(each.sum(-1).mean(), rel=1e-5)

    def test_one_hot_integers_are_targets_too(self, loaded, kit, name, argument):
        model = loaded(name)
        one_hot = np.eye(model.config.num_qa_labels)[[2, 5]]
        given = zoo.inputs(name, model.config)
        first, second = (
            float(kit.call(model, **given, **{argument: one_hot.astype(t)}).loss) for t in (np.int32, np.float32)
        )
        assert first == second

    def test_a_question_without_an_answer_is_left_out(self, loaded, kit, name, argument):
        model = loaded(name)
        given = zoo.inputs(name, model.config)
        out = kit.call(model, **given, **{argument: np.array([-100, 4], np.int32)})
        scores = kit.numpy(out.question_answering_score)
        assert float(out.loss) == pytest.approx(cross_entropy(scores, np.array([-100, 4])), rel=1e-5)

    def test_answers_that_do_not_fit_are_refused(self, loaded, kit, name, argument):
        model = loaded(name)
        given = zoo.inputs(name, model.config)
        targets = self.targets(np.random.default_rng(0), model.config)
        wide = np.concatenate([targets, targets], 1)
        for value, words in (
            (wide, ("expected shape (batch=2, num_qa_labels=9)", "got (2, 18)", "one class id for each question")),
            (targets + 1, ("expected values in [0, 1]", "got values from 1.")),
            (targets[:, 0], ("expected integers", "float32")),
        ):
            refused(kit, model, argument, *words, **given, **{argument: value})


def refused(kit, model, *words, **given):
    """Assert that the call is a ValueError whose message has all of `words`."""
    with pytest.raises(ValueError, match=r".") as caught:
        kit.call(model, **given)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("name", ["LxmertModel", PRETRAINING, QA])
class TestRegions:
    def test_objects_that_the_mask_hides_cannot_be_felt(self, loaded, kit, name):
        model = loaded(name)
        given = zoo.inputs(name, model.config, 1, "visual_attention_mask", "attention_mask")
        given["visual_attention_mask"][:, 4:] = 0
        changed = {k: given[k].copy() for k in ("visual_feats", "visual_pos")}
        for value in changed.values():
            value[:, 4:] = 0.25
        first, second = (kit.numpy(zoo.main(kit.call(model, **each))) for each in (given, given | changed))
        np.testing.assert_array_equal(first, second)
        given["visual_attention_mask"][:, 4:] = 1
        assert not np.array_equal(kit.numpy(zoo.main(kit.call(model, **given))), first)

    def test_words_that_the_mask_hides_cannot_be_felt_by_the_objects(self, loaded, kit, name):
        model = loaded(name)
        given = zoo.inputs(name, model.config, 1, "attention_mask")
        given["attention_mask"][:, 3:] = 0
        changed = given | {"input_ids": np.where(given["attention_mask"] == 1, given["input_ids"], 7)}
        first, second = (
            kit.numpy(kit.call(model, **each, output_hidden_states=True).vision_hidden_states[-1])
            for each in (given, changed)
        )
        np.testing.assert_array_equal(first, second)

    def test_boxes_in_pixels_are_taken_with_a_warning_that_says_how_to_normalise(self, loaded, kit, name):
        model = loaded(name)
        given = zoo.inputs(name, model.config)
        given["visual_pos"] = given["visual_pos"] * 480
        with pytest.warns(UserWarning, match=r"visual_pos: expected values in \[0, 1\], got .*divide the pixels' x by"):
            kit.call(model, **given)

    def test_visual_inputs_that_are_missing_or_do_not_fit_are_named(self, loaded, kit, name):
        model = loaded(name)
        given = zoo.inputs(name, model.config)
        boxes, feats = given["visual_pos"], given["visual_feats"]
        missing = given | {"visual_feats": None}
        refused(
            kit, model, "visual_feats: expected an array (batch, objects, visual_feat_dim=10)", "regions", **missing
        )
        refused(kit, model, "visual_pos: expected an array", "got None", "boxes", **given | {"visual_pos": None})
        words = ("visual_pos: expected shape (batch=2, objects=6, visual_pos_dim=4)", "got (2, 5, 4)")
        refused(kit, model, *words, **given | {"visual_pos": boxes[:, :5]})
        refused(kit, model, "visual_pos", "got (1, 6, 4)", **given | {"visual_pos": boxes[:1]})
        refused(kit, model, "visual_feats", "visual_feat_dim=10", **given | {"visual_feats": feats[..., :9]})
        mask = np.ones((zoo.BATCH, zoo.OBJECTS + 1), np.int32)
        refused(kit, model, "visual_attention_mask", "objects=6", "(2, 7)", **given, visual_attention_mask=mask)

    def test_an_image_without_objects_leaves_the_text_alone(self, loaded, kit, name):
        model = loaded(name)
        given = zoo.inputs(name, model.config)
        given = {k: v[:, :0] if k.startswith("visual_") else v for k, v in given.items()}
        out = kit.call(model, **given, output_attentions=True)
        assert np.isfinite(kit.numpy(zoo.main(out))).all()
        assert tuple(out.cross_encoder_attentions[0].shape) == (zoo.BATCH, 4, zoo.LENGTH, 0)

    def test_states_are_those_behind_the_layers_of_both_encoders(self, loaded, kit, name):
        model = loaded(name)
        given = zoo.inputs(name, model.config)
        out = kit.call(model, **given, output_hidden_states=True, output_attentions=True)
        of = model.config
        assert len(out.language_hidden_states) == of.l_layers + of.x_layers
        assert len(out.vision_hidden_states) == of.r_layers + of.x_layers
        assert len(out.cross_encoder_attentions) == of.x_layers
        for weights in (*out.language_attentions, *out.vision_attentions, *out.cross_encoder_attentions):
            np.testing.assert_allclose(kit.numpy(weights).sum(-1), 1.0, rtol=1e-5)
        if name == "LxmertModel":
            np.testing.assert_array_equal(kit.numpy(out.language_hidden_states[-1]), kit.numpy(out.language_output))
            np.testing.assert_array_equal(kit.numpy(out.vision_hidden_states[-1]), kit.numpy(out.vision_output))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"object": (1, 2)}, ("obj_labels: expected keys among 'obj', 'attr', 'feat'", "got 'object'")),
        ([1, 2], ("obj_labels: expected a dictionary", "'obj', 'attr', 'feat'", "got list")),
        ({"obj": (1,)}, ("obj_labels['obj']: expected a tuple of 2 arrays", "confidence", "got 1 arrays")),
        ({"feat": None}, ("obj_labels['feat']: expected a tuple of 2 arrays", "got NoneType")),
        ({"attr": (1, 2)}, ("obj_labels['attr'][0]: expected an array", "got int")),
    ],
    ids=str,
)
def test_labels_of_objects_of_another_structure_are_refused(loaded, kit, wrong, words):
    model = loaded(PRETRAINING)
    refused(kit, model, *words, **zoo.inputs(PRETRAINING, model.config), obj_labels=wrong)


def test_confidences_and_labels_of_another_shape_are_refused_by_name(loaded, kit):
    model = loaded(PRETRAINING)
    given = labelled(model.config)
    for key, index in itertools.product(("obj", "attr", "feat"), (0, 1)):
        good = given["obj_labels"][key]
        bad = tuple(array[:, :5] if at == index else array for at, array in enumerate(good))
        labels = {"obj_labels": given["obj_labels"] | {key: bad}}
        refused(kit, model, f"obj_labels[{key!r}][{index}]: expected shape (batch=2, objects=6", **given | labels)


class TestLoading:
    def test_a_question_answerer_takes_what_it_has_from_a_pretraining_checkpoint(self, public, kit, checkpoints):
        model = public(QA).from_pretrained(checkpoints[PRETRAINING])
        assert not model.load_report.fresh
        unused = model.load_report.unused
        assert {name.split(".")[0] for name in unused} == {"cls", "obj_predict_head"}
        assert "not used: this class does not have it" in str(model.load_report)
        before, after = kit.fetch(public(PRETRAINING).from_pretrained(checkpoints[PRETRAINING])), kit.fetch(model)
        assert all(np.array_equal(after[name], before[name]) for name in after)

    def test_heads_that_a_checkpoint_lacks_are_drawn_and_reported(self, public, checkpoints):
        model = public(PRETRAINING).from_pretrained(checkpoints[QA])
        assert {name.split(".")[0] for name in model.load_report.fresh} == {"cls", "obj_predict_head"}
        model = public(PRETRAINING).from_pretrained(checkpoints["LxmertModel"])
        assert {name.split(".")[0] for name in model.load_report.fresh} == {"cls", "obj_predict_head", "answer_head"}

    def test_the_base_model_reads_every_checkpoint_of_the_family(self, public, checkpoints):
        for name in (PRETRAINING, QA):
            report = public("LxmertModel").from_pretrained(checkpoints[name]).load_report
            assert not report.fresh
            assert not any(key.startswith("lxmert.") for key in report.unused)


def test_heads_of_several_encoders_cannot_be_pruned(load):
    with pytest.raises(ValueError, match=r"prune_heads: expected a model of one encoder, .*language"):
        load("LxmertModel").prune_heads({0: [1]})
    with pytest.raises(ValueError, match="pruned_heads: expected none"):
        LxmertConfig(pruned_heads={0: [1]})


def test_a_configuration_counts_the_layers_of_its_encoders():
    config = LxmertConfig(l_layers=3, x_layers=2, r_layers=1)
    assert config.num_hidden_layers == {"vision": 1, "cross_encoder": 2, "language": 3}
    again = LxmertConfig.from_dict({**config.to_dict(), "num_hidden_layers": config.num_hidden_layers}, l_layers=4)
    assert again.num_hidden_layers["language"] == 4
    assert "num_hidden_layers" not in config.to_dict()
    with pytest.raises(ValueError, match="tie_word_embeddings: expected True"):
        LxmertConfig(tie_word_embeddings=False)


def test_tensorflow_has_its_documented_order_of_arguments():
    order = specs.of(PRETRAINING).signature("tf")
    assert order[7:11] == ("masked_lm_labels", "obj_labels", "matched_label", "ans")
    assert order[-1] == "labels"
    assert specs.of(PRETRAINING).signature("pt")[7:11] == TASKS
