"""What only Swin does: windows that shift, patches that merge, images of any size."""

import copy

import numpy as np
import pytest
import zoo

SWIN = "SwinModel"


def image(config, height, width, seed=0, batch=1):
    shape = (batch, config.num_channels, height, width)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def states(kit, model, pixels, **more):
    """The embeddings and the states behind each stage, as maps (batch, width, rows, columns)."""
    out = kit.call(model, pixel_values=pixels, output_hidden_states=True, **more)
    return [kit.numpy(state) for state in out.reshaped_hidden_states]


def changed_cells(before, after):
    """The cells of a map (1, width, rows, columns) that differ, as (row, column)."""
    return {tuple(cell) for cell in np.argwhere(np.abs(before - after)[0].max(0) > 1e-6)}


def one_stage(public, depth, window=3, **more):
    """A model of one stage of some layers."""
    config = zoo.config(SWIN, depths=[depth], num_heads=[3], window_size=window, initializer_range=0.3, **more)
    model = public(SWIN)(config, seed=3)
    return model.eval() if hasattr(model, "eval") else model


def test_patches_see_their_window_and_the_next_layer_s_shifted_one(public, kit):
    """On a map of 6 x 6, windows of 3: a layer reaches the window; a second, shifted by one, what overlaps with that."""
    reached = {1: range(3), 2: range(-2, 4)}
    for depth, cells in reached.items():
        model = one_stage(public, depth)
        pixels = image(model.config, 48, 48)
        other = pixels.copy()
        other[..., :8, :8] += 1.0
        before, after = (states(kit, model, x)[-1] for x in (pixels, other))
        found = changed_cells(before, after)
        assert found == {(row, column) for row in cells if row >= 0 for column in cells if column >= 0}
        assert len(found) == (9 if depth == 1 else 16)


def test_what_a_shift_brings_around_the_edge_sees_and_shows_nothing(public, kit):
    """The last patch is in the window of the first where a map is shifted; neither feels the other."""
    model = one_stage(public, 2)
    pixels = image(model.config, 48, 48)
    for at, away in ((slice(0, 8), (5, 5)), (slice(40, 48), (0, 0))):
        other = pixels.copy()
        other[..., at, at] += 1.0
        before, after = (states(kit, model, x)[-1] for x in (pixels, other))
        assert away not in changed_cells(before, after)


def test_a_map_that_is_no_larger_than_a_window_is_one_window_and_does_not_shift(public, kit):
    """As a model whose windows are as large as the map, and whose table is the middle of ours."""
    larger, exact = (zoo.config(SWIN, depths=[2], num_heads=[3], window_size=window) for window in (4, 3))
    tensors = zoo.tensors(SWIN, larger)
    middle = np.arange(49).reshape(7, 7)[1:6, 1:6].ravel()
    cut = {name: tensor[middle] if name.endswith("_table") else tensor for name, tensor in tensors.items()}
    larger = public(SWIN).from_pretrained(None, config=larger, state_dict=tensors)
    exact = public(SWIN).from_pretrained(None, config=exact, state_dict=cut)
    pixels = image(larger.config, 24, 24)
    for mine, truth in zip(states(kit, larger, pixels), states(kit, exact, pixels), strict=True):
        np.testing.assert_allclose(mine, truth, rtol=1e-5, atol=1e-5)


def test_what_is_missing_of_a_patch_is_zeros(loaded, kit):
    model = loaded(SWIN)
    pixels = image(model.config, 27, 36)
    whole = np.pad(pixels, ((0, 0), (0, 0), (0, 5), (0, 4)))
    for mine, truth in zip(states(kit, model, pixels), states(kit, model, whole), strict=True):
        np.testing.assert_allclose(mine, truth, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (8, 47), (41, 16)])
def test_any_image_is_taken(loaded, kit, height, width):
    model = loaded(SWIN)
    out = kit.call(
        model,
        pixel_values=image(model.config, height, width, batch=2),
        output_hidden_states=True,
        output_attentions=True,
    )
    sizes = model.spec.complete(model.config, {"batch": 2, "height": height, "width": width})
    for field in model.spec.fields:
        tensors = out[field.name] if field.each else [out[field.name]]
        assert [tuple(t.shape) for t in tensors] == field.shapes(model.config, sizes)
    for state, as_map in zip(out.hidden_states, out.reshaped_hidden_states, strict=True):
        flat = kit.numpy(as_map).reshape(*as_map.shape[:2], -1).transpose(0, 2, 1)
        np.testing.assert_array_equal(flat, kit.numpy(state))
    np.testing.assert_allclose(
        kit.numpy(out.pooler_output), kit.numpy(out.last_hidden_state).mean(1), rtol=1e-5, atol=1e-6
    )
    for weights in out.attentions:
        np.testing.assert_allclose(kit.numpy(weights).sum(-1), 1.0, rtol=1e-5)


def test_a_stage_of_fewer_heads_takes_the_first_of_the_mask(loaded, kit):
    """The first stage has three heads, the second four: the mask's fourth column says nothing of the first stage."""
    model = loaded(SWIN)
    pixels = image(model.config, 32, 32)
    mask = np.ones((2, 4), np.float32)
    plain = states(kit, model, pixels, head_mask=mask)
    mask[0, 3] = 0.0
    for mine, truth in zip(states(kit, model, pixels, head_mask=mask), plain, strict=True):
        np.testing.assert_array_equal(mine, truth)
    mask[0, 2] = 0.0
    masked = states(kit, model, pixels, head_mask=mask)
    assert np.abs(masked[1] - plain[1]).max() > 1e-3
    mask[0] = 1.0
    mask[1, 3] = 0.0
    masked = states(kit, model, pixels, head_mask=mask)
    np.testing.assert_array_equal(masked[1], plain[1])
    assert np.abs(masked[2] - plain[2]).max() > 1e-3


def test_a_mask_token_takes_the_place_of_a_patch(public, kit):
    model = public(SWIN)(zoo.config(SWIN), use_mask_token=True, seed=1)
    pixels, masked = image(model.config, 32, 32), np.zeros((1, 16), bool)
    masked[0, 5] = True
    before, after = states(kit, model, pixels)[0], states(kit, model, pixels, bool_masked_pos=masked)[0]
    assert changed_cells(before, after) == {(1, 1)}


class TestBadInput:
    """Images and settings that the model cannot take."""

    def test_absolute_positions_are_of_one_size(self, public, kit):
        model = public(SWIN)(zoo.config(SWIN, use_absolute_embeddings=True), seed=1)
        kit.call(model, pixel_values=image(model.config, 29, 32))
        with pytest.raises(
            ValueError, match=r"pixel_values: with use_absolute_embeddings expected images of 4 x 4 patches"
        ):
            kit.call(model, pixel_values=image(model.config, 40, 32))

    def test_an_image_has_pixels(self, loaded, kit):
        with pytest.raises(ValueError, match=r"pixel_values: expected images of at least 1 x 1 pixels, got 0 x 32"):
            kit.call(loaded(SWIN), pixel_values=image(loaded(SWIN).config, 0, 32))

    def test_heads_stay(self, load):
        with pytest.raises(ValueError, match=r"prune_heads: expected a model with as many heads in every layer"):
            load(SWIN).prune_heads({0: [1]})


class TestAsAnEncoder:
    """In front of a decoder."""

    @pytest.fixture
    def model(self, public):
        return public(zoo.COMPOSITE)(zoo.config(zoo.COMPOSITE, encoder=zoo.half("swin")), seed=1)

    def test_fields_have_the_sizes_of_the_encoder_s_stages(self, model, kit):
        given = zoo.inputs(zoo.COMPOSITE, model.config)
        out = kit.outline(model, **given, output_hidden_states=True, output_attentions=True)
        bound = zoo.sizes(zoo.COMPOSITE, model.config)
        for field in model.spec.fields:
            if field.name.startswith("encoder_"):
                tensors = out[field.name] if field.each else [out[field.name]]
                assert [tuple(t.shape) for t in tensors] == field.shapes(model.config, bound), field.name

    def test_images_of_any_size_are_taken(self, model, kit):
        given = zoo.inputs(zoo.COMPOSITE, model.config) | {"pixel_values": image(model.config.encoder, 21, 50, batch=2)}
        out = kit.outline(model, **given)
        assert tuple(out.encoder_last_hidden_state.shape) == (2, 8, 24)

    def test_images_that_its_positions_do_not_fit_are_refused(self, public, kit):
        encoder = zoo.half("swin", use_absolute_embeddings=True)
        model = public(zoo.COMPOSITE)(zoo.config(zoo.COMPOSITE, encoder=encoder), seed=1)
        given = zoo.inputs(zoo.COMPOSITE, model.config) | {"pixel_values": image(encoder, 40, 32, batch=2)}
        with pytest.raises(ValueError, match=r"pixel_values: with use_absolute_embeddings expected images of 4 x 4"):
            kit.call(model, **given)


def test_the_network_is_not_changed_by_a_small_image(loaded, kit):
    """The reference's layers keep the window of the smallest map that they have seen."""
    model = loaded(SWIN)
    pixels = image(model.config, 48, 48)
    before = states(kit, model, pixels)
    kit.call(model, pixel_values=image(model.config, 8, 8))
    for mine, truth in zip(states(kit, model, copy.copy(pixels)), before, strict=True):
        np.testing.assert_array_equal(mine, truth)
