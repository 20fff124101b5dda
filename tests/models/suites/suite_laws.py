"""Laws that hold for every model: of masks, of batches, of padding."""

import numpy as np
import pytest
import zoo

CAUSAL = (*zoo.TEXT_CLASSES, zoo.COMPOSITE)


def states(kit, model, **given):
    """The field of the answer that is about positions, (batch, length, ...)."""
    return kit.numpy(zoo.main(kit.call(model, **given)))


def states_once(kit, model, **given):
    """`states`, for shapes that only one test has."""
    return kit.numpy(zoo.main(kit.once(model, **given)))


def ids_of(name):
    return "decoder_input_ids" if name == zoo.COMPOSITE else "input_ids"


def mask_of(name):
    return "decoder_attention_mask" if name == zoo.COMPOSITE else "attention_mask"


@pytest.fixture(params=["right", "left", "middle"])
def visible(request):
    """A mask (batch, length) that hides something in each row."""
    mask = np.ones((zoo.BATCH, zoo.LENGTH), np.int32)
    hidden = {"right": np.s_[:, 3:], "left": np.s_[:, :2], "middle": np.s_[:, 2]}[request.param]
    mask[hidden] = 0
    return mask


@pytest.mark.parametrize("name", CAUSAL)
def test_what_a_mask_hides_cannot_be_felt(loaded, kit, name, visible):
    model = loaded(name)
    given = zoo.inputs(name, model.config) | {mask_of(name): visible}
    ids = given[ids_of(name)]
    changed = np.where(visible == 1, ids, zoo.others(ids))
    first, second = (states(kit, model, **given | {ids_of(name): i}) for i in (ids, changed))
    np.testing.assert_array_equal(first[visible == 1], second[visible == 1])
    assert not np.array_equal(first[visible == 0], second[visible == 0])


def test_an_encoder_s_mask_hides_in_both_directions(public, kit, visible):
    model = public("BertModel")(zoo.half("bert", **zoo.ENCODER))
    ids = zoo.inputs("BertModel", model.config)["input_ids"]
    changed = np.where(visible == 1, ids, zoo.others(ids))
    first, second = (states(kit, model, input_ids=i, attention_mask=visible) for i in (ids, changed))
    np.testing.assert_array_equal(first[visible == 1], second[visible == 1])


@pytest.mark.parametrize("name", zoo.TEXT_CLASSES)
def test_what_the_context_s_mask_hides_cannot_be_felt(loaded, kit, name):
    model = loaded(name)
    given = zoo.inputs(name, model.config, 1, "encoder_attention_mask")
    given["encoder_attention_mask"][:, 4:] = 0
    changed = given["encoder_hidden_states"].copy()
    changed[:, 4:] += 3.0
    first, second = states(kit, model, **given), states(kit, model, **given | {"encoder_hidden_states": changed})
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", CAUSAL)
def test_a_decoder_does_not_feel_what_comes_later(loaded, kit, name):
    model = loaded(name)
    given = zoo.inputs(name, model.config)
    changed = given[ids_of(name)].copy()
    changed[:, 3:] = zoo.others(changed[:, 3:])
    first, second = states(kit, model, **given), states(kit, model, **given | {ids_of(name): changed})
    np.testing.assert_array_equal(first[:, :3], second[:, :3])
    assert not np.array_equal(first[:, 3:], second[:, 3:])


def test_batch_rows_are_independent(loaded, kit, class_name):
    model = loaded(class_name)
    given = zoo.inputs(class_name, model.config)
    together = kit.call(model, **given)
    for row in range(zoo.BATCH):
        alone = kit.once(model, **{name: value[row : row + 1] for name, value in given.items()})
        for field in zoo.by_row(class_name):
            one, all_rows = kit.numpy(alone[field]), kit.numpy(together[field])
            np.testing.assert_allclose(one[0], all_rows[row], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", CAUSAL)
def test_more_padding_changes_nothing(loaded, kit, name):
    pads = 3
    model = loaded(name)
    given = zoo.inputs(name, model.config)
    ids = given[ids_of(name)]
    longer = np.pad(ids, ((0, 0), (0, pads)))
    mask = np.pad(np.ones_like(ids), ((0, 0), (0, pads)))
    padded = states_once(kit, model, **given | {ids_of(name): longer, mask_of(name): mask})
    np.testing.assert_allclose(padded[:, : ids.shape[1]], states(kit, model, **given), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", zoo.TEXT_CLASSES)
def test_a_row_that_sees_nothing_has_no_attention(loaded, kit, name):
    model = loaded(name)
    given = zoo.inputs(name, model.config, 1, "attention_mask", "encoder_attention_mask")
    for mask in ("attention_mask", "encoder_attention_mask"):
        given[mask][0] = 0
    out = kit.call(model, **given, output_attentions=True)
    for weights in (*out.attentions, *out.cross_attentions):
        weights = kit.numpy(weights)
        np.testing.assert_array_equal(weights[0], 0.0)
        np.testing.assert_allclose(weights[1].sum(-1), 1.0, rtol=1e-5)
    shown = kit.numpy(zoo.main(out))
    assert np.isfinite(shown).all()
    np.testing.assert_allclose(states(kit, model, **given), shown, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", zoo.HEADS)
def test_a_row_that_sees_nothing_has_finite_gradients(load, kit, name):
    model = load(name)
    given = zoo.inputs(name, model.config, 1, "attention_mask", "labels")
    given["attention_mask"][0] = 0
    loss, found = kit.gradients(model, given)
    assert np.isfinite(loss)
    assert all(np.isfinite(gradient).all() for gradient in found.values())


def test_asking_for_weights_and_states_changes_no_output(loaded, kit, class_name):
    model = loaded(class_name)
    given = zoo.inputs(class_name, model.config)
    flags = {flag: True for flag in ("output_attentions", "output_hidden_states") if flag in model.spec.names()}
    asked = states(kit, model, **given, **flags)
    np.testing.assert_allclose(asked, states(kit, model, **given), rtol=1e-5, atol=1e-5)


def test_a_head_mask_of_ones_changes_nothing_and_zeros_silence(loaded, kit):
    model = loaded("ViTModel")
    given = zoo.inputs("ViTModel", model.config)
    plain = states(kit, model, **given)
    ones = states(kit, model, **given, head_mask=np.ones((2, 4), np.float32))
    np.testing.assert_allclose(ones, plain, rtol=1e-5, atol=1e-5)
    out = kit.call(model, **given, head_mask=np.array([1, 0, 1, 1], np.float32), output_attentions=True)
    for weights in out.attentions:
        np.testing.assert_array_equal(kit.numpy(weights)[:, 1], 0.0)


def test_masked_patches_cannot_be_felt(public, kit):
    model = public("ViTModel")(zoo.half("vit"), use_mask_token=True)
    given = zoo.inputs("ViTModel", model.config, 1, "bool_masked_pos")
    given["bool_masked_pos"][:] = False
    given["bool_masked_pos"][:, 5] = True  # row 1, column 1 of a grid of 4 x 4 patches of 8 x 8
    changed = given["pixel_values"].copy()
    changed[:, :, 8:16, 8:16] += 1.0
    first, second = states(kit, model, **given), states(kit, model, **given | {"pixel_values": changed})
    np.testing.assert_array_equal(first, second)


def test_interpolated_positions_take_images_of_another_size(loaded, kit):
    model = loaded("ViTModel")
    image = np.random.default_rng(0).normal(size=(2, 3, 48, 24)).astype(np.float32)
    assert states_once(kit, model, pixel_values=image, interpolate_pos_encoding=True).shape == (2, 1 + 6 * 3, 16)
    given = zoo.inputs("ViTModel", model.config)
    same = states(kit, model, **given, interpolate_pos_encoding=True)
    np.testing.assert_array_equal(same, states(kit, model, **given))
