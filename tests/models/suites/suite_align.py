"""What only ALIGN does: two towers compared with each other, and statistics of images that training moves."""

import numpy as np
import pytest
import zoo

NAME = "AlignModel"


@pytest.fixture
def model(loaded):
    return loaded(NAME)


def given(model, images=2):
    inputs = zoo.inputs(NAME, model.config)
    pixels = inputs["pixel_values"]
    return inputs | {"pixel_values": np.concatenate([pixels, pixels[::-1] * 0.5])[:images]}


def test_three_images_are_compared_with_two_texts(model, kit):
    out = kit.call(model, **given(model, 3))
    texts, images = kit.numpy(out.text_embeds), kit.numpy(out.image_embeds)
    np.testing.assert_allclose(np.linalg.norm(texts, axis=-1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(images, axis=-1), 1.0, rtol=1e-5)
    temperature = kit.fetch(model)["similarity.temperature"]
    np.testing.assert_allclose(kit.numpy(out.logits_per_image), images @ texts.T / temperature, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(kit.numpy(out.logits_per_text), kit.numpy(out.logits_per_image).T)
    assert "loss" not in out


def test_the_loss_is_the_mean_of_two_smoothed_cross_entropies(model, kit):
    out = kit.call(model, **given(model), return_loss=True)
    logits = kit.numpy(out.logits_per_text).astype(np.float64)
    right = 0.9 * np.eye(2) + 0.1 / 2
    entropies = [-(right * (s - np.log(np.exp(s).sum(-1, keepdims=True)))).sum(-1).mean() for s in (logits, logits.T)]
    assert float(out.loss) == pytest.approx(np.mean(entropies), rel=1e-5)


def test_the_towers_are_what_the_whole_gives_inside(model, kit):
    inputs = given(model)
    whole = kit.call(model, **inputs)
    pixels = inputs.pop("pixel_values")
    for tower, own, of in (
        (model.text_model, inputs, "text"),
        (model.vision_model, {"pixel_values": pixels}, "vision"),
    ):
        alone, inside = kit.call(tower, **own), whole[f"{of}_model_output"]
        assert type(alone) is type(inside)
        assert list(alone) == list(inside)
        for name in alone:
            np.testing.assert_allclose(kit.numpy(alone[name]), kit.numpy(inside[name]), rtol=1e-5, atol=1e-6)


def test_a_change_through_a_tower_is_one_of_the_whole(load, kit):
    model = load(NAME)
    model.text_model.prune_heads({0: [1]})
    model.text_model.resize_token_embeddings(zoo.VOCABULARY + 2)
    assert model.config.text_config.pruned_heads == {0: [1]}
    table = kit.fetch(model)["text_model.embeddings.tokens.weight"]
    assert table.shape[0] == model.config.text_config.vocab_size == zoo.VOCABULARY + 2
    assert kit.call(model, **given(model)).logits_per_image.shape == (2, 2)
    with pytest.raises(ValueError, match=r"expected model\.text_model\.prune_heads"):
        model.prune_heads({0: [2]})


@pytest.mark.parametrize("field", ["mean", "variance"])
def test_running_statistics_keep_the_share_that_momentum_says(public, kit, field):
    """What two momenta leave differs by their shares alone: 0.99 keeps 99 % of what was there."""
    moved = {}
    for momentum in (0.99, 0.5):
        tower = zoo.half("align_vision_model", batch_norm_momentum=momentum)
        model = public(NAME)(zoo.config(NAME, vision_config=tower), seed=4)
        before = kit.fetch(model)
        kit.gradients(model, given(model) | {"return_loss": True}, seed=1)
        after = kit.fetch(model)
        names = [name for name in after if name.endswith(f"embeddings.norm.{field}")]
        assert names
        moved[momentum] = np.concatenate([(after[n] - before[n]) / (1.0 - momentum) for n in names])
    assert np.abs(moved[0.5]).min() > 0
    np.testing.assert_allclose(moved[0.99], moved[0.5], rtol=1e-3, atol=1e-5)


def test_inference_moves_no_statistics(load, kit):
    model = load(NAME)
    before = kit.fetch(model)
    kit.call(model, **given(model))
    assert all(np.array_equal(value, before[name]) for name, value in kit.fetch(model).items())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_pixels_that_are_no_numbers_are_refused(model, kit, bad):
    inputs = given(model)
    inputs["pixel_values"] = inputs["pixel_values"].copy()
    inputs["pixel_values"][1, 0, 3, 4] = bad
    for call in (
        lambda: kit.call(model, **inputs),
        lambda: model.get_image_features(kit.array(inputs["pixel_values"])),
    ):
        with pytest.raises(ValueError, match="pixel_values: expected finite values"):
            call()


def test_no_image_is_refused(model, kit):
    inputs = given(model)
    inputs["pixel_values"] = inputs["pixel_values"][:0]
    with pytest.raises(ValueError, match="pixel_values: expected at least one image, got none"):
        kit.call(model, **inputs)


def test_features_are_checked_as_the_towers_are(model, kit):
    with pytest.raises(ValueError, match=r"pixel_values: expected shape .*channels=3"):
        model.get_image_features(kit.array(np.zeros((2, 4, 32, 32), np.float32)))
    with pytest.raises(ValueError, match="input_ids / inputs_embeds: expected exactly one"):
        model.get_text_features()
