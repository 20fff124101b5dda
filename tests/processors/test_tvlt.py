"""TVLT's processors: published answers, videos of every form, masks, what is out of range, files, the documented examples."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from multimodal import (
    AutoFeatureExtractor,
    AutoImageProcessor,
    AutoProcessor,
    TvltFeatureExtractor,
    TvltImageProcessor,
    TvltProcessor,
)
from multimodal.processors import tvlt

GOLDEN = Path(__file__).parents[1] / "golden" / "processors" / "sound" / "tvlt.safetensors"
RNG = np.random.default_rng(0)
VIDEO = RNG.integers(0, 256, (3, 20, 31, 3), np.uint8)
CLIP = (0.1 * RNG.normal(size=20_000)).astype(np.float32)


@pytest.fixture(scope="module")
def published():
    with safe_open(GOLDEN, "np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping


@pytest.fixture
def processor():
    return TvltImageProcessor(size=16, crop_size=16, patch_size=[8, 4])


def pixels(made, videos, **options):
    return made(videos, return_tensors="np", **options).pixel_values


@pytest.mark.parametrize(("case", "mixed"), [("False", False), ("True", True), ("still", False)])
def test_published_pictures_are_met(published, case, mixed):
    source = published["tvlt.still.in"][None] if case == "still" else published["tvlt.in"]
    found = TvltImageProcessor()(list(source), is_mixed=mixed, return_tensors="np")
    names = {k.split(".")[-1] for k in published if k.startswith(f"tvlt.{case}.out")}
    assert set(found) == names
    assert {name.endswith("_mixed") for name in names} == {mixed}
    for name, values in found.items():
        assert values.dtype == (np.int64 if "mask" in name else np.float32)
        # Every 28th pixel of the answers is kept.
        kept = values[..., ::28, ::28] if values.ndim == 5 else values
        np.testing.assert_array_equal(kept, published[f"tvlt.{case}.out.{name}"])


def wave():
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("byname", Path(__file__).parents[1] / "golden" / "byname.py")
    byname = module_from_spec(spec)
    spec.loader.exec_module(byname)
    t = np.arange(44100) / 44100
    tones = np.sin(2 * np.pi * 440 * t) * 0.3 + np.sin(2 * np.pi * (200 + 900 * t) * t) * 0.2
    return (tones + 0.01 * byname.uniform(0, "hiss", t.shape)).astype(np.float32)


def test_published_spectrograms_are_met(published):
    sound = wave()
    for case, clips in (("whole", sound), ("short", sound[:10000]), ("batch", [sound, sound[:10000]])):
        found = TvltFeatureExtractor()(clips, sampling_rate=44100, return_tensors="np")
        assert list(found) == ["audio_values", "audio_mask"]
        values = found.audio_values[:, :, ::7] if case == "batch" else found.audio_values
        np.testing.assert_allclose(values, published[f"tvlt.{case}.out.audio_values"], atol=1e-6)
        np.testing.assert_array_equal(found.audio_mask, published[f"tvlt.{case}.out.audio_mask"])


# Videos


FORMS = {
    "list of arrays": list,
    "array": lambda v: v,
    "batch array": lambda v: v[None],
    "list of videos": lambda v: [list(v)],
    "list of arrays of 4 axes": lambda v: [v],
    "tuple": tuple,
    "pillow": lambda v: [Image.fromarray(frame) for frame in v],
    "channels first": lambda v: [frame.transpose(2, 0, 1) for frame in v],
    "torch": lambda v: __import__("torch").from_numpy(v.copy()),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_video_gives_the_same_pixels(processor, form):
    found = processor(FORMS[form](VIDEO), return_tensors="np")
    assert found.pixel_values.shape == (1, 3, 3, 16, 16)
    np.testing.assert_array_equal(found.pixel_values, pixels(processor, list(VIDEO)))
    np.testing.assert_array_equal(found.pixel_mask, np.ones((1, 3 * 2 * 4), np.float32))


def test_videos_go_by_either_name(processor):
    np.testing.assert_array_equal(
        processor(images=list(VIDEO))["pixel_values"], processor(videos=VIDEO)["pixel_values"]
    )
    for given, got in (({}, "neither"), ({"videos": VIDEO, "images": VIDEO}, "both")):
        with pytest.raises(ValueError, match=f"videos: expected videos, or images in their place, got {got}"):
            processor(**given)


@pytest.mark.parametrize("form", [lambda p: p, lambda p: [p], lambda p: [[p]], Image.fromarray])
def test_a_picture_is_a_video_of_one_frame(processor, form, tmp_path):
    found = pixels(processor, form(VIDEO[0]))
    np.testing.assert_array_equal(found, pixels(processor, VIDEO[:1]))
    Image.fromarray(VIDEO[0]).save(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels(processor, tmp_path / "a.png"), found)
    np.testing.assert_array_equal(pixels(processor, [str(tmp_path / "a.png")] * 2), np.repeat(found, 2, 1))


def test_shorter_videos_of_a_batch_are_filled_up_and_masked(processor):
    found = processor([list(VIDEO), list(VIDEO[:1])], return_tensors="np")
    assert found.pixel_values.shape == (2, 3, 3, 16, 16)
    np.testing.assert_array_equal(found.pixel_values[1, :1], pixels(processor, VIDEO[:1])[0])
    assert (found.pixel_values[1, 1:] == 0).all()
    np.testing.assert_array_equal(found.pixel_mask, [[1] * 24, [1] * 8 + [0] * 16])


@pytest.mark.parametrize(("shape", "sides"), [((20, 31), (16, 24)), ((31, 20), (24, 16)), ((16, 16), (16, 16))])
def test_the_shorter_side_is_resized_and_the_other_follows(processor, shape, sides):
    picture = RNG.integers(0, 256, (*shape, 3), np.uint8)
    found = processor(picture, do_center_crop=False, return_tensors="np")
    assert found.pixel_values.shape == (1, 1, 3, *sides)
    assert found.pixel_mask.shape == (1, (sides[0] // 8) * (sides[1] // 4))
    resized = np.asarray(Image.fromarray(picture).resize(sides[::-1], Image.Resampling.BILINEAR))
    np.testing.assert_allclose(found.pixel_values[0, 0], (resized / 255 - 0.5).transpose(2, 0, 1) / 0.5, atol=1e-6)


def test_the_channel_order_of_the_output_is_an_option(processor):
    first = pixels(processor, VIDEO)
    last = processor(VIDEO, data_format="channels_last", do_center_crop=False, size=16, return_tensors="np")
    assert last.pixel_values.shape == (1, 3, 16, 24, 3)
    assert last.pixel_mask.shape == (1, 3 * 2 * 6)
    kept = pixels(processor, VIDEO, data_format=None)
    np.testing.assert_array_equal(kept.transpose(0, 1, 4, 2, 3), first)


# Values


def test_values_out_of_range_are_a_warning_and_processed_as_they_are(processor):
    floats = RNG.normal(size=(2, 3, 16, 16))
    with pytest.warns(
        UserWarning, match=r"videos: values are neither in 0..255 nor in 0..1; they are not rescaled"
    ) as told:
        found = pixels(processor, list(floats))
    assert len(told) == 1
    np.testing.assert_allclose(found[0], (floats - 0.5) / 0.5, atol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        said = pixels(processor, list(floats), do_rescale=False)
    np.testing.assert_array_equal(said, found)


def test_floats_that_8_bits_cannot_hold_are_resized_as_floats(processor):
    ramp = np.linspace(-3, 4, 32)[None, :, None].repeat(32, 0).repeat(3, 2)
    found = pixels(processor, ramp, do_rescale=False, do_normalize=False)[0, 0, 0, 5]
    np.testing.assert_allclose(found, ramp[0, :, 0].reshape(16, 2).mean(1), atol=0.05)
    fractions = np.full((20, 20, 3), 100.5)
    np.testing.assert_allclose(pixels(processor, fractions, do_normalize=False), 100.5 / 255, rtol=1e-6)
    eight = pixels(processor, VIDEO[0], do_normalize=False)
    np.testing.assert_array_equal(pixels(processor, VIDEO[0].astype(np.float64), do_normalize=False), eight)
    with pytest.warns(UserWarning, match="values are in 0..1 already and do_rescale=True scales them again"):
        pixels(processor, VIDEO[0] / 255)
    fine = pixels(processor, VIDEO[0] / 255, do_rescale=False, do_normalize=False)
    np.testing.assert_allclose(fine, eight, atol=1.5 / 255)


# What is refused


BAD = {
    "too many frames": ([np.zeros((9, 8, 8, 3), np.uint8)], {}, r"videos\[0\]: expected at most num_frames=8 frames, got 9"),
    "too many for the call": (VIDEO, {"num_frames": 2}, "videos: expected at most num_frames=2 frames, got 3"),
    "nothing": ([], {}, r"videos: expected a list of pictures, at least one, got \[\]"),
    "an empty video": ([list(VIDEO), []], {}, r"videos\[1\]: expected a list of pictures, at least one, got \[\]"),
    "none": (None, {}, "videos: expected videos, or images in their place, got neither"),
    "a number for a video": ([list(VIDEO), 3], {}, r"videos\[1\]: expected a list of pictures"),
    "nan": ([np.full((8, 8, 3), np.nan)], {}, r"videos\[0\]: expected finite values, got nan"),
    "16 bits": ([np.full((8, 8, 3), 999)], {}, r"videos\[0\]: expected integers in 0..255"),
    "frames of two sizes": (
        [VIDEO[0], VIDEO[0, :, :15]], {"do_resize": False, "do_center_crop": False}, "videos: expected frames of one size",
    ),
    "a size of both sides": (VIDEO, {"size": {"height": 4, "width": 4}}, 'size: expected {"shortest_edge": ...} or one number'),
    "no size": (VIDEO, {"size": 0}, "size: expected"),
    "an endless side": (np.zeros((2, 4000, 3), np.uint8), {"size": 2**19}, "size: expected at most"),
    "a patch of three sides": (VIDEO, {"patch_size": [1, 2, 3]}, "patch_size: expected two positive integers"),
    "a patch of nothing": (VIDEO, {"patch_size": [0, 2]}, r"patch_size\[0\]: expected an integer in 1..1048576, got 0"),
    "frames by half": (VIDEO, {"num_frames": 1.5}, "num_frames: expected an integer in 1..1048576, got 1.5"),
    "a flag": (VIDEO, {"is_mixed": "yes"}, "is_mixed: expected True or False, got 'yes'"),
    "a mean": (VIDEO, {"image_mean": [1, 2]}, "image_mean: expected one number or 3"),
    "an order": (VIDEO, {"data_format": "middle"}, "data_format: expected one of"),
    "unknown": (VIDEO, {"num_frame": 3}, "unknown argument 'num_frame'; did you mean 'num_frames'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_video_is_refused_by_name(processor, case):
    value, options, message = BAD[case]
    with pytest.raises(ValueError, match=message) as told:
        processor(value, **options)
    assert len(str(told.value)) < 400


EXTRACTORS = {
    "channels": ({"num_channels": 2}, "num_channels: expected 1"),
    "patches": ({"feature_size": 100}, "feature_size: expected a multiple of the patches' 16, got 100"),
    "length": ({"spectrogram_length": 0}, "spectrogram_length: expected an integer in 1"),
    "hop": ({"hop_length_to_sampling_rate": 44101}, "hop_length_to_sampling_rate: expected an integer in 1..44100"),
    "window": ({"n_fft": 10**9}, "n_fft: expected an integer in 1..65536"),
    "filters": ({"n_fft": 65536, "feature_size": 65536}, "feature_size: expected feature_size * n_fft of at most"),
    "patch": ({"patch_size": "16"}, "patch_size: expected two positive integers, got '16'"),
}


@pytest.mark.parametrize("case", EXTRACTORS)
def test_settings_of_a_spectrogram_that_are_none_are_refused(case, tmp_path):
    options, message = EXTRACTORS[case]
    message = message.replace("*", r"\*").replace("(", r"\(")
    with pytest.raises(ValueError, match=f"^{message}"):
        TvltFeatureExtractor(**options)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(options))
    with pytest.raises(ValueError, match=rf"preprocessor_config\.json: {message}"):
        TvltFeatureExtractor.from_pretrained(tmp_path)


# Sound


def test_time_is_whole_hops_filled_up_to_patches():
    made = TvltFeatureExtractor(padding_value=0.5, patch_size=[16, 32])
    for samples, frames in ((512, 1), (1023, 1), (1024, 2), (16 * 512, 16), (17 * 512, 17)):
        found = made(CLIP[:samples], sampling_rate=44100, return_tensors="np")
        time = -(-frames // 16) * 16
        assert found.audio_values.shape == (1, 1, time, 128)
        assert (found.audio_values[0, 0, frames:] == 0.5).all()
        assert not (found.audio_values[0, 0, :frames] == 0.5).any()
        assert found.audio_mask.shape == (1, time // 16 * 4)
    with pytest.raises(ValueError, match=r"raw_speech\[0\]: expected at least 512 samples \(one hop\), got 511"):
        made(CLIP[:511], sampling_rate=44100)


def test_a_longer_spectrogram_is_cut(monkeypatch):
    short, long = (TvltFeatureExtractor(spectrogram_length=n) for n in (16, 2048))
    found = short(CLIP, sampling_rate=44100, return_tensors="np").audio_values
    assert found.shape == (1, 1, 16, 128)
    np.testing.assert_array_equal(found, long(CLIP, sampling_rate=44100, return_tensors="np").audio_values[:, :, :16])


def test_decibels_become_minus_one_to_one(monkeypatch):
    for decibels, value in ((-100, -1), (-60, -1), (-20, 0), (0, 0.5), (20, 1), (30, 1)):
        monkeypatch.setattr(tvlt, "log_mel", lambda clip, **options: np.full((3, 128), float(decibels)))  # noqa: B023
        found = TvltFeatureExtractor()(CLIP, sampling_rate=44100, return_tensors="np").audio_values
        assert (found[0, 0, :3] == value).all()


def test_a_mask_can_be_left_out_and_other_rates_are_settings():
    made = TvltFeatureExtractor(sampling_rate=16000)
    assert made.hop_length == 186
    assert list(made(CLIP, sampling_rate=16000, return_attention_mask=False)) == ["audio_values"]
    with pytest.raises(ValueError, match="return_attention_mask: expected True or False, got 'no'"):
        made(CLIP, sampling_rate=16000, return_attention_mask="no")
    frames = len(CLIP) // 186
    assert (made(CLIP, sampling_rate=16000).audio_values[0, 0, :frames, -3:] == -1).all()  # above half of the rate


# The processor


def test_each_half_s_fields_are_those_that_it_gives_alone():
    processor = TvltProcessor(TvltImageProcessor(size=32, crop_size=32), TvltFeatureExtractor())
    both = processor(VIDEO, CLIP, VIDEO[:2], sampling_rate=44100, return_tensors="np")
    expected = {
        **processor.feature_extractor(CLIP, sampling_rate=44100, return_tensors="np"),
        **processor.image_processor(VIDEO, return_tensors="np"),
        **processor.image_processor(VIDEO[:2], is_mixed=True, return_tensors="np"),
    }
    assert list(both) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(both[name], values)
    assert set(both) == set(processor.model_input_names)
    assert list(processor(images=VIDEO)) == ["pixel_values", "pixel_mask"]
    assert list(processor(audio=CLIP, sampling_rate=44100)) == ["audio_values", "audio_mask"]


def test_keywords_find_their_half():
    processor = TvltProcessor(TvltImageProcessor(size=32, crop_size=32), TvltFeatureExtractor())
    found = processor(VIDEO, CLIP, sampling_rate=22050, resample=True, crop_size=16, return_tensors="np")
    assert found.pixel_values.shape[-1] == 16
    assert found.audio_values.shape[2] == 80
    nearest = processor(VIDEO, resample=Image.Resampling.NEAREST, return_tensors="np").pixel_values
    assert not np.array_equal(nearest, processor(VIDEO, return_tensors="np").pixel_values)
    assert "audio_mask" not in processor(audio=CLIP, sampling_rate=44100, return_attention_mask=False)
    with pytest.raises(ValueError, match="images: expected images, audio or images_mixed, got none"):
        processor()
    with pytest.raises(ValueError, match="unknown argument 'crop_sise'; did you mean 'crop_size'"):
        processor(VIDEO, crop_sise=3)
    with pytest.raises(ValueError, match="expected at most 6 arguments without their names, got 7"):
        processor(VIDEO, CLIP, None, 44100, False, False, 3)
    with pytest.raises(ValueError, match="image_processor: expected TvltImageProcessor, got TvltFeatureExtractor"):
        TvltProcessor(processor.feature_extractor, processor.image_processor)


@pytest.mark.parametrize("patch", [[16, 16], [8, 32]])
def test_one_file_holds_both_halves(patch, tmp_path):
    processor = TvltProcessor(
        TvltImageProcessor(size=32, crop_size=32, num_frames=5), TvltFeatureExtractor(patch_size=patch, n_fft=1024)
    )
    assert processor.save_pretrained(tmp_path) == [str(tmp_path / "preprocessor_config.json")]
    values = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert ("feature_extractor" in values) is (patch != [16, 16])
    for again in (TvltProcessor.from_pretrained(tmp_path), AutoProcessor.from_pretrained(tmp_path)):
        assert again.image_processor.to_dict() == processor.image_processor.to_dict()
        assert again.feature_extractor.to_dict() == processor.feature_extractor.to_dict()
    images, sound = AutoImageProcessor.from_pretrained(tmp_path), AutoFeatureExtractor.from_pretrained(tmp_path)
    assert (type(images), images.patch_size, images.num_frames) == (TvltImageProcessor, [16, 16], 5)
    assert (type(sound), sound.patch_size, sound.n_fft) == (TvltFeatureExtractor, patch, 1024)
    again.save_pretrained(tmp_path / "again")
    assert json.loads((tmp_path / "again" / "preprocessor_config.json").read_text()) == values


def test_an_old_file_names_the_feature_extractor_alone(tmp_path):
    (tmp_path / "preprocessor_config.json").write_text(
        '{"feature_extractor_type": "TvltFeatureExtractor", "n_fft": 512}'
    )
    (tmp_path / "config.json").write_text('{"model_type": "tvlt"}')
    assert type(AutoImageProcessor.from_pretrained(tmp_path)) is TvltImageProcessor
    assert AutoFeatureExtractor.from_pretrained(tmp_path).n_fft == 512
    processor = AutoProcessor.from_pretrained(tmp_path)
    assert (type(processor), processor.feature_extractor.n_fft) == (TvltProcessor, 512)
    (tmp_path / "preprocessor_config.json").write_text('{"feature_extractor": [3]}')
    with pytest.raises(
        ValueError, match=r"preprocessor_config\.json: feature_extractor: expected an object of settings"
    ):
        TvltProcessor.from_pretrained(tmp_path)


def test_the_documented_examples_run(tmp_path):
    TvltProcessor(TvltImageProcessor(), TvltFeatureExtractor()).save_pretrained(tmp_path)
    num_frames = 8
    images = list(np.random.randn(num_frames, 3, 224, 224))
    images_mixed = list(np.random.randn(num_frames, 3, 224, 224))
    audio = list(np.random.randn(10000))
    processor = TvltProcessor.from_pretrained(tmp_path)
    with pytest.warns(UserWarning, match="neither in 0..255 nor in 0..1"):
        input_dict = processor(
            images, audio, images_mixed, sampling_rate=44100, mask_pixel=True, mask_audio=True, return_tensors="pt"
        )
    shapes = {name: tuple(tensor.shape) for name, tensor in input_dict.items()}
    assert shapes == {
        "audio_values": (1, 1, 32, 128),
        "audio_mask": (1, 16),
        "pixel_values": (1, 8, 3, 224, 224),
        "pixel_mask": (1, 1568),
        "pixel_values_mixed": (1, 8, 3, 224, 224),
        "pixel_mask_mixed": (1, 1568),
    }
    integers = {name for name, tensor in input_dict.items() if str(tensor.dtype) == "torch.int64"}
    assert integers == {"pixel_mask", "pixel_mask_mixed"}
