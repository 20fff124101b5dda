"""What only Data2Vec-vision and BEiT do: relative positions, layers left out, what is pooled, pixels."""

import numpy as np
import pytest
import zoo

from multimodal.numeric.windows import relative_index_with_token

VISION, IMAGES, PIXELS = (
    "Data2VecVisionModel", "Data2VecVisionForImageClassification", "Data2VecVisionForSemanticSegmentation",
)  # fmt: skip


def image(model, height=zoo.IMAGE, width=zoo.IMAGE, batch=zoo.BATCH, seed=0):
    shape = (batch, model.config.num_channels, height, width)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


class TestBlocks:
    """The layers that this family brought."""

    def test_a_transposed_convolution_puts_a_kernel_at_every_place(self, kit):
        """A single value of one gives the kernel itself, two beside each other two of them."""
        kernel = np.random.default_rng(0).normal(size=(2, 3, 2, 2)).astype(np.float32)  # inputs, outputs, height, width
        orders = {"pt": (0, 1, 2, 3), "tf": (2, 3, 1, 0), "flax": (2, 3, 1, 0)}

        def fill(name, shape):
            return kernel.transpose(orders[kit.NAME]) if name == "weight" else np.array([1, 2, 3], np.float32)

        x = np.zeros((1, 2, 2, 3), np.float32)  # batch, channels, height, width
        x[0, 0, 0, 0], x[0, 1, 1, 2] = 1.0, -2.0
        inside = x if kit.NAME == "pt" else x.transpose(0, 2, 3, 1)
        made = kit.layer("basic.ConvTranspose2D")(2, 3, (2, 2), (2, 2))
        out = kit.numpy(kit.run(made, fill, inside))
        out = out if kit.NAME == "pt" else out.transpose(0, 3, 1, 2)
        expected = np.tile(np.array([1, 2, 3], np.float32)[None, :, None, None], (1, 1, 4, 6))
        expected[0, :, :2, :2] += kernel[0]
        expected[0, :, 2:, 4:] -= 2 * kernel[1]
        np.testing.assert_allclose(out, expected, rtol=1e-6)

    @pytest.mark.parametrize("grid", [(2, 3), (3, 5), (1, 2)])
    def test_a_bias_is_the_table_s_entry_for_where_two_patches_are(self, kit, grid):
        """Of a table whose entries rise evenly with the distance, interpolation makes one that does so too, inside."""
        own, heads = (2, 3), 2
        down, right = np.meshgrid(np.linspace(-1, 1, 3), np.linspace(-1, 1, 5), indexing="ij")
        table = np.stack([down.ravel(), right.ravel()], -1)
        table = np.concatenate([table, [[7, 8], [9, 10], [11, 12]]]).astype(np.float32)
        made = kit.layer("relative.RelativePositionBias")(own, num_heads=heads)
        bias = kit.numpy(kit.run(made, lambda name, shape: table, **{"grid": grid}))[0]
        assert bias.shape == (heads, 1 + grid[0] * grid[1], 1 + grid[0] * grid[1])
        np.testing.assert_array_equal(bias[:, 0, 0], [11, 12])
        np.testing.assert_array_equal(bias[:, 0, 1:], np.repeat([[7], [8]], bias.shape[1] - 1, 1))
        np.testing.assert_array_equal(bias[:, 1:, 0], np.repeat([[9], [10]], bias.shape[1] - 1, 1))
        np.testing.assert_allclose(bias[:, 1:, 1:], -bias[:, 1:, 1:].transpose(0, 2, 1), atol=1e-6)
        if grid == own:
            np.testing.assert_array_equal(bias, table[relative_index_with_token(*grid)].transpose(2, 0, 1))

    def test_means_and_maps_of_another_size_keep_a_plane(self, kit):
        """A map that rises evenly is, larger, that plane between the outer centres; its parts' means are the plane's."""
        plane = np.add.outer(np.arange(4.0), 10 * np.arange(6.0)).astype(np.float32)[None, None]
        inside = plane if kit.NAME == "pt" else plane.transpose(0, 2, 3, 1)
        found = []
        for name, size in (("upsampled", (8, 12)), ("pooled", (2, 3))):
            found.append(kit.numpy(kit.layer(f"resampling.{name}")(kit.array(inside), size)).reshape(size))
        larger, means = found
        np.testing.assert_allclose(
            larger[1:-1, 1:-1], np.add.outer(np.arange(0.25, 3, 0.5), np.arange(2.5, 50, 5)), rtol=1e-5
        )
        np.testing.assert_allclose(means, np.add.outer([0.5, 2.5], [5.0, 25.0, 45.0]), rtol=1e-6)


class TestStochasticDepth:
    def test_examples_leave_out_branches_of_the_later_layer_each_for_itself(self, public, kit):
        """Rates rise from 0: of two layers the second's two branches are there or not, so that alike images give up to
        four answers; the first layer is always the same."""
        config = zoo.config(VISION, drop_path_rate=0.5)
        model = kit.seeded(lambda: public(VISION)(config, seed=1), 1)
        alike = np.repeat(image(model, batch=1), 64, axis=0)
        out = kit.drawn(model, 3, pixel_values=alike, output_hidden_states=True)
        _, first, second = (kit.numpy(state) for state in out.hidden_states)
        np.testing.assert_allclose(first, np.broadcast_to(first[:1], first.shape), rtol=1e-5, atol=1e-6)
        answers = np.unique(second.reshape(64, -1).round(4)[:, :8], axis=0)
        assert 3 <= len(answers) <= 4
        untouched = np.isclose(second, first, atol=1e-6).all((1, 2)).mean()
        assert 0.05 < untouched < 0.55  # a quarter


class TestPooling:
    def test_pooled_is_the_normalised_mean_of_the_patches(self, public, kit):
        model = public(VISION)(zoo.config(VISION), add_pooling_layer=True, seed=1)
        out = kit.call(model, pixel_values=image(model))
        mean = kit.numpy(out.last_hidden_state)[:, 1:].mean(1)
        expected = (mean - mean.mean(-1, keepdims=True)) / np.sqrt(mean.var(-1, keepdims=True) + 1e-12)
        np.testing.assert_allclose(kit.numpy(out.pooler_output), expected, rtol=1e-3, atol=1e-4)

    def test_or_the_class_token_of_normalised_states(self, public, kit):
        model = public(VISION)(zoo.config(VISION, use_mean_pooling=False), add_pooling_layer=True, seed=1)
        out = kit.call(model, pixel_values=image(model), output_hidden_states=True)
        states = kit.numpy(out.last_hidden_state)
        np.testing.assert_array_equal(kit.numpy(out.pooler_output), states[:, 0])
        np.testing.assert_allclose(states.mean(-1), 0, atol=1e-5)
        assert np.abs(kit.numpy(out.hidden_states[-1]).mean(-1)).max() > 1e-4

    def test_without_a_pooling_layer_nothing_is_pooled(self, loaded, kit):
        assert "pooler_output" not in kit.call(loaded(VISION), pixel_values=image(loaded(VISION)))


def test_a_mask_token_stands_for_what_a_patch_is_and_for_where_it_is(public, kit):
    config = zoo.config(VISION, use_mask_token=True, use_absolute_position_embeddings=True)
    model = public(VISION)(config, seed=1)
    mask = np.zeros((zoo.BATCH, 16), bool)
    mask[:, [1, 7]] = True
    out = kit.call(model, pixel_values=image(model), bool_masked_pos=mask, output_hidden_states=True)
    states = kit.numpy(out.hidden_states[0])[:, 1:]
    np.testing.assert_array_equal(states[:, 1], states[:, 7])
    assert not np.allclose(states[:, 2], states[:, 8])


def test_a_fresh_network_begins_with_the_initial_layer_scale_and_no_relative_positions(public, kit):
    fresh = kit.fetch(public(VISION)(zoo.config(VISION, layer_scale_init_value=0.2)))
    scales = [array for name, array in fresh.items() if name.endswith(("attention_scale", "mlp_scale"))]
    tables = [array for name, array in fresh.items() if name.endswith("relative_bias.table")]
    assert (len(scales), len(tables)) == (4, 2)
    assert all((array == np.float32(0.2)).all() for array in scales)
    assert not any(array.any() for array in tables)


@pytest.mark.parametrize("name", [IMAGES, PIXELS])
def test_images_of_another_size_go_with_interpolated_positions(loaded, kit, name):
    """The same answer for the configured size, whatever the flag says; scores of pixels have four cells for each patch."""
    model = loaded(name)
    same = [
        kit.numpy(kit.call(model, pixel_values=image(model), interpolate_pos_encoding=flag).logits)
        for flag in (False, True)
    ]
    np.testing.assert_array_equal(*same)
    logits = kit.numpy(kit.once(model, pixel_values=image(model, 40, 24), interpolate_pos_encoding=True).logits)
    assert logits.shape == ((2, 4) if name == IMAGES else (2, 4, 20, 12))
    assert np.isfinite(logits).all()


class TestPixels:
    @pytest.fixture
    def model(self, loaded):
        return loaded(PIXELS)

    def labels(self, seed=1):
        return np.random.default_rng(seed).integers(0, 4, (zoo.BATCH, zoo.IMAGE, zoo.IMAGE)).astype(np.int32)

    def loss(self, kit, model, labels):
        return float(kit.call(model, pixel_values=image(model), labels=labels).loss)

    def test_ignored_pixels_are_not_felt(self, kit, model):
        """The mean is over those that count: half of them ignored, what the others say."""
        labels = self.labels()
        halves = [np.where(np.arange(zoo.IMAGE) < zoo.IMAGE // 2, *order) for order in ((labels, 255), (255, labels))]
        parts = [self.loss(kit, model, half) for half in halves]
        assert np.mean(parts) == pytest.approx(self.loss(kit, model, labels), rel=1e-5)
        assert parts[0] != pytest.approx(parts[1], rel=1e-3)

    def test_the_auxiliary_scores_count_with_their_weight(self, load, kit):
        """The loss is that of the scores, which NumPy computes, and the weight times another that no field shows."""
        model, labels, losses = load(PIXELS), self.labels(), {}
        for weight in (0.0, 0.5, 1.0):
            model.config.auxiliary_loss_weight = weight
            losses[weight] = self.loss(kit, model, labels)
        assert losses[1.0] > losses[0.0] + 1e-2
        assert losses[0.5] == pytest.approx((losses[0.0] + losses[1.0]) / 2, rel=1e-5)

    def test_a_segmenter_of_one_layer_s_states_is_refused(self, public):
        for indices in ([0, 1, 2], [0, 1, 1, 2], [2, 1, 0, 3], [0, 1, 2, 9]):
            with pytest.raises(ValueError, match="out_indices: expected 4 rising numbers from 0 to 3 for segmentation"):
                public(PIXELS)(zoo.config(PIXELS, out_indices=indices))
        with pytest.raises(ValueError, match=r"auxiliary_channels: expected hidden_size \(16\) .* got 8"):
            public(PIXELS)(zoo.config(PIXELS, auxiliary_num_convs=0))

    def test_without_an_auxiliary_head_there_are_no_tensors_of_it(self, public, kit):
        model = public(PIXELS)(zoo.config(PIXELS, use_auxiliary_head=False), seed=1)
        assert not any("auxiliary" in name for name in kit.fetch(model))
        assert np.isfinite(self.loss(kit, model, self.labels()))
