"""What a feature extractor is given: every form of a clip, other rates, files, and everything that is refused."""

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from framework_arrays import in_jax, in_tensorflow, in_torch

from multimodal.processors.audio import clips, files, resampling
from multimodal.processors.audio.clips import read_clips
from multimodal.processors.tvlt import TvltFeatureExtractor
from multimodal.processors.wav2vec2 import Wav2Vec2FeatureExtractor

RATE = 16000
SECONDS = np.arange(RATE) / RATE
CLIP = (0.4 * np.sin(2 * np.pi * 440 * SECONDS) + 0.2 * np.sin(2 * np.pi * 1234 * SECONDS)).astype(np.float32)
STEREO = np.stack([CLIP, 0.5 * CLIP[::-1]])


def read(raw_speech, sampling_rate=RATE, wanted=RATE, **options):
    return read_clips(raw_speech, sampling_rate, wanted, **options)


@pytest.fixture(params=[Wav2Vec2FeatureExtractor, TvltFeatureExtractor], ids=lambda cls: cls.__name__)
def extractor(request):
    """One of each class, at 16,000 samples a second."""
    return request.param(sampling_rate=RATE)


SHORT = CLIP[:50]
FORMS = {
    "array": lambda a: a,
    "float64": lambda a: a.astype(np.float64),
    "one channel": lambda a: [a[None]],
    "channel last": lambda a: [a[:, None]],
    "list": lambda a: a.tolist(),
    "list of numbers": list,
    "list of arrays": lambda a: [a],
    "list of lists": lambda a: [a.tolist()],
    "batch": lambda a: np.stack([a]),
    "torch": in_torch,
    "list of torch's numbers": lambda a: list(in_torch(a)),
    "tensorflow": in_tensorflow,
    "jax": in_jax,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_clip_is_the_same_clip(form):
    (clip,) = read(FORMS[form](SHORT))
    assert clip.dtype == np.float32
    np.testing.assert_array_equal(clip, SHORT)


@pytest.mark.parametrize(
    ("dtype", "silence", "scale"), [("int8", 0, 128), ("int16", 0, 2**15), ("int32", 0, 2**31), ("uint8", 128, 128)]
)
def test_pcm_is_scaled_by_its_own_full_scale(dtype, silence, scale):
    limits = np.iinfo(dtype)
    pcm = np.array([limits.min, silence, limits.max], dtype)
    (found,) = read(pcm)
    expected = np.array([(int(limits.min) - silence) / scale, 0, (int(limits.max) - silence) / scale])
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found[0] == -1


def test_pcm_and_the_floats_that_soundfile_makes_of_it_are_one_clip(tmp_path):
    soundfile.write(tmp_path / "a.wav", CLIP, RATE, subtype="PCM_16")
    pcm, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    np.testing.assert_array_equal(read(pcm)[0], read(tmp_path / "a.wav")[0])


# Channels


@pytest.mark.parametrize("form", [lambda a: [a], lambda a: [a.T], lambda a: a[None], lambda a: a.T[None]])
def test_channels_are_folded_down_where_that_is_asked_for(form):
    with pytest.raises(
        ValueError, match=r"raw_speech\[0\]: expected mono, got 2 channels; to_mono=True takes their mean"
    ):
        read(form(STEREO))
    (found,) = read(form(STEREO), to_mono=True)
    np.testing.assert_allclose(found, STEREO.mean(0), atol=1e-7)


def test_an_array_of_two_axes_is_a_batch_unless_it_looks_like_channels():
    assert [len(clip) for clip in read(np.stack([CLIP, CLIP, CLIP]))] == [RATE] * 3
    with pytest.raises(ValueError, match=r"shape \(16000, 2\), which looks like 2 channels; to_mono=True"):
        read(STEREO.T)
    for form in (STEREO, STEREO.T):
        (found,) = read(form, to_mono=True)
        np.testing.assert_allclose(found, STEREO.mean(0), atol=1e-7)


# Sampling rates


def test_another_rate_is_refused_with_both_and_resampled_where_that_is_asked_for(extractor):
    with pytest.raises(
        ValueError, match=r"raw_speech: expected a sampling rate of 16000 Hz, got 8000 Hz; resample=True"
    ):
        extractor(CLIP[::2], sampling_rate=8000)
    half = extractor(CLIP[::2], sampling_rate=8000, resample=True, return_tensors="np")
    whole = extractor(CLIP, sampling_rate=RATE, return_tensors="np")
    for name, values in whole.items():
        assert half[name].shape == values.shape
    name = extractor.model_input_names[0]
    assert np.sqrt(np.mean((half[name] - whole[name]) ** 2)) < 0.05


def test_no_rate_is_a_warning_and_files_carry_theirs(extractor, tmp_path):
    with pytest.warns(UserWarning, match=r"sampling_rate: not given; raw_speech is taken to be at 16000 Hz") as told:
        extractor([CLIP, CLIP])
    assert len(told) == 1
    assert told[0].filename == __file__
    soundfile.write(tmp_path / "a.wav", CLIP, RATE)
    extractor(tmp_path / "a.wav")
    soundfile.write(tmp_path / "b.wav", CLIP, 44100)
    with pytest.raises(ValueError, match=r"b\.wav: expected a sampling rate of 16000 Hz, got 44100 Hz"):
        extractor([tmp_path / "a.wav", str(tmp_path / "b.wav")])
    with pytest.raises(ValueError, match=r"b\.wav: expected sampling_rate=16000 to be the file's own, got 44100 Hz"):
        extractor([tmp_path / "a.wav", str(tmp_path / "b.wav")], sampling_rate=RATE)
    extractor([tmp_path / "a.wav", tmp_path / "b.wav"], resample=True, **_padded(extractor))


def _padded(extractor):
    return {"padding": True} if isinstance(extractor, Wav2Vec2FeatureExtractor) else {}


@pytest.mark.parametrize("rate", [0, -1, 1.5, "16000", True, 10**9, [RATE], float("nan")])
def test_a_rate_that_is_none_is_refused(extractor, rate):
    with pytest.raises(ValueError, match="sampling_rate: expected samples a second, a whole number in 1"):
        extractor(CLIP, sampling_rate=rate)


def test_resampling_is_band_limited():
    """What the new rate can hold stays as it is; what it cannot is gone, and no alias of it comes."""
    t = np.arange(44100) / 44100
    kept, lost = (np.sin(2 * np.pi * hertz * t).astype(np.float32) for hertz in (1000, 11000))
    middle = slice(2000, -2000)
    found = resampling.resample(kept, 44100, 16000)
    assert (found.dtype, len(found)) == (np.float32, 16000)
    expected = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    np.testing.assert_allclose(found[middle], expected[middle], atol=1e-4)
    assert np.abs(resampling.resample(lost, 44100, 16000)[middle]).max() < 1e-5
    assert np.abs(lost[:: 44100 // 16000][middle]).max() > 0.9
    assert resampling.resample(kept, 44100, 44100) is kept


def test_what_resampling_makes_too_long_or_too_short_is_refused():
    with pytest.raises(
        ValueError, match=r"expected 1 to \d+ samples after resampling from 1 Hz to 44100 Hz, got 705600000"
    ):
        resampling.resample(CLIP, 1, 44100)
    with pytest.raises(ValueError, match="got 0"):
        resampling.resample(CLIP[:1], 44100, 8000)


# Bad clips

BAD = {
    "none": (None, "raw_speech: expected an array, a list of floats, a path"),
    "number": (3.5, "raw_speech: expected an array, a list of floats, a path"),
    "mapping": ({"array": CLIP}, "raw_speech: expected an array, a list of floats, a path"),
    "empty list": ([], "raw_speech: expected at least one clip of at least one sample, got nothing"),
    "empty array": (CLIP[:0], r"raw_speech: expected 1 to \d+ samples, got 0"),
    "empty batch": (np.zeros((0, 5)), "raw_speech: expected at least one clip"),
    "empty clip": ([CLIP, CLIP[:0]], r"raw_speech\[1\]: expected 1 to \d+ samples, got 0"),
    "nan": ([CLIP, np.array([0.0, np.nan])], r"raw_speech\[1\]: expected finite samples, got nan or infinity"),
    "infinity": (np.array([0.0, -np.inf]), "raw_speech: expected finite samples"),
    "more than float32": (np.array([0.0, 1e300]), "raw_speech: expected finite samples"),
    "int64": (
        np.array([0, 1000, -1000]),
        r"raw_speech: expected floats in -1..1 or PCM as int8, int16, int32, uint8, got int64",
    ),
    "integers": ([0, 1000, -1000], "raw_speech: expected floats in -1..1 or PCM"),
    "uint16": (np.array([0, 1000], np.uint16), "got uint16"),
    "bool": (np.array([True, False]), "got bool"),
    "complex": (np.array([1j, 0]), "raw_speech: expected floats, got complex128"),
    "text": (np.array(["a", "b"]), "raw_speech: expected floats, got <U1"),
    "objects": ([0.5, None], "raw_speech: expected floats, got None"),
    "a list in a list of numbers": ([0.5, [1.0]], "raw_speech: expected a list of floats"),
    "no clip in a batch": ([CLIP, None], r"raw_speech\[1\]: expected an array, a list of floats or a path, got None"),
    "3 axes": (np.zeros((2, 3, 4, 5), np.float32), r"raw_speech\[0\]: expected a clip \(samples,\), got shape"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_clip_is_refused_by_name(extractor, case):
    value, message = BAD[case]
    with pytest.raises(ValueError, match=message) as told:
        extractor(value, sampling_rate=RATE)
    assert len(str(told.value)) < 400


def test_floats_that_nobody_scaled_are_a_warning():
    with pytest.warns(UserWarning, match=r"samples reach 13106\.8 where -1..1 is usual: PCM that was not scaled\?"):
        read(CLIP / np.abs(CLIP).max() * 0.4 * 32767)
    read(CLIP * 100)


@pytest.mark.parametrize("switch", ["resample", "to_mono"])
def test_a_switch_that_is_none_is_refused(extractor, switch):
    with pytest.raises(ValueError, match=f"{switch}: expected True or False, got 'yes'"):
        extractor(CLIP, sampling_rate=RATE, **{switch: "yes"})


def test_an_unknown_argument_is_refused_with_the_nearest(extractor):
    with pytest.raises(ValueError, match="unknown argument 'sampling_rat'; did you mean 'sampling_rate'"):
        extractor(CLIP, sampling_rat=RATE)
    with pytest.raises(ValueError, match="unknown argument 'sample_rate'"):
        type(extractor)(sample_rate=RATE)


# Files

FORMATS = {"wav": "PCM_16", "flac": "PCM_16", "ogg": "VORBIS"}


@pytest.fixture(params=FORMATS)
def sound(request, tmp_path):
    path = tmp_path / f"clip.{request.param}"
    soundfile.write(path, CLIP, RATE, subtype=FORMATS[request.param])
    return path


def test_a_file_holds_its_clip(sound):
    found, rate = files.read_file(sound)
    assert (rate, found.shape, found.dtype) == (RATE, (RATE, 1), np.float32)
    np.testing.assert_allclose(found[:, 0], CLIP, atol=2**-15 if sound.suffix != ".ogg" else 0.05)


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_named(sound, share):
    content = sound.read_bytes()
    sound.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(
        ValueError, match=rf"raw_speech: expected a whole wav, flac or ogg file in .*{sound.name}, got "
    ) as told:
        read(sound)
    assert "0x" not in str(told.value)
    assert sound.name in str(told.value)


def test_an_ogg_that_was_cut_off_between_two_pages_is_named(tmp_path):
    path = tmp_path / "clip.ogg"
    soundfile.write(path, 0.1 * np.random.default_rng(0).normal(size=80_000), RATE, subtype="VORBIS")
    content = path.read_bytes()
    assert content.count(b"OggS") > 4
    path.write_bytes(content[: content.rindex(b"OggS")])
    with pytest.raises(ValueError, match=r"clip\.ogg, got a file that was cut off \(its last page is not the end"):
        read(path)


def test_fewer_samples_than_a_file_speaks_of_are_a_file_that_was_cut_off(tmp_path, monkeypatch):
    """Other releases of the library behind soundfile give what there is of a flac and say nothing."""
    path = tmp_path / "clip.flac"
    soundfile.write(path, CLIP, RATE)
    monkeypatch.setattr(soundfile.SoundFile, "frames", RATE + 1)
    with pytest.raises(ValueError, match=r"clip\.flac, got a file that was cut off \(16000 of 16001 samples\)"):
        read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Format not recognised"),
        (b"hello, this is no sound at all" * 10, "Format not recognised"),
        (b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x80\x3e\0\0\0\x7d\0\0\2\0\x10\0data\0\0\0\0", "no samples"),
    ],
    ids=["empty", "text", "without samples"],
)
def test_what_is_no_sound_is_named(tmp_path, content, message):
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=rf"raw_speech\[1\]: expected a whole wav, flac or ogg file in .*clip\.wav, got {message}"
    ):
        read([CLIP, path])


def test_a_file_that_is_not_there_and_one_of_another_format_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"gone\.wav, but the file does not exist"):
        read(tmp_path / "gone.wav")
    with pytest.raises(ValueError, match="but that is a folder"):
        read(str(tmp_path))
    soundfile.write(tmp_path / "clip.aiff", CLIP, RATE)
    with pytest.raises(ValueError, match=r"clip\.aiff, got the format AIFF"):
        read(tmp_path / "clip.aiff")
    infinite = CLIP.copy()
    infinite[7] = np.inf
    soundfile.write(tmp_path / "floats.wav", infinite, RATE, subtype="FLOAT")
    with pytest.raises(ValueError, match=r"floats\.wav, got samples that are not finite"):
        read(tmp_path / "floats.wav")


def test_a_wav_from_a_pipe_does_not_know_its_size_and_is_whole(tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, CLIP, RATE, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[4:8] = content[at : at + 4] = struct.pack("<I", 2**32 - 1)
    path.write_bytes(content)
    assert len(read(path)[0]) == RATE


def test_a_wav_with_more_behind_its_data_is_whole(tmp_path):
    for name, options in {"rf64": {"format": "RF64"}, "extensible": {"format": "WAVEX"}}.items():
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, CLIP, RATE, subtype="PCM_16", **options)
        assert len(read(path)[0]) == RATE
        content = path.read_bytes()
        path.write_bytes(content[:-500])
        with pytest.raises(ValueError, match="cut off"):
            read(path)
    path = tmp_path / "tail.wav"
    soundfile.write(path, CLIP, RATE, subtype="PCM_16")
    path.write_bytes(path.read_bytes() + b"LIST\4\0\0\0abcd")
    assert len(read(path)[0]) == RATE


def test_a_header_that_lies_about_the_length_takes_no_memory(tmp_path, monkeypatch):
    path = tmp_path / "clip.flac"
    soundfile.write(path, np.zeros((50_000, 2), np.float32), RATE)
    content = bytearray(path.read_bytes())
    content[21:26] = bytes([content[21] | 0x0F, 255, 255, 255, 255])  # 36 bits: the number of samples
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"clip\.flac, got a file that is damaged or was cut off"):
        read(path, to_mono=True)
    soundfile.write(path, np.zeros((50_000, 2), np.float32), RATE)
    monkeypatch.setattr(files, "MAX_SAMPLES", 99_999)
    with pytest.raises(ValueError, match="got more than 99999 samples"):
        read(path, to_mono=True)
    monkeypatch.setattr(clips, "MAX_SAMPLES", 99)
    with pytest.raises(ValueError, match="expected 1 to 99 samples, got 16000"):
        read(CLIP)


def test_stereo_files_are_folded_down_where_that_is_asked_for(tmp_path):
    path = tmp_path / "two.flac"
    soundfile.write(path, STEREO.T, RATE)
    with pytest.raises(ValueError, match=r"two\.flac: expected mono, got 2 channels; to_mono=True takes their mean"):
        read(path)
    np.testing.assert_allclose(read(path, to_mono=True)[0], STEREO.mean(0), atol=2**-15)
    soundfile.write(path, np.zeros((3, 8)), RATE)  # shorter than it has channels
    assert len(read(path, to_mono=True)[0]) == 3


WITHOUT = """
import sys, numpy as np
sys.modules[{package!r}] = None
from multimodal import Wav2Vec2FeatureExtractor
try:
    Wav2Vec2FeatureExtractor()({value}, sampling_rate=8000, resample=True)
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize(("package", "value"), [("soundfile", "'clip.wav'"), ("soxr", "np.zeros(100)")])
def test_a_package_that_is_missing_names_the_extra(package, value):
    code = WITHOUT.format(package=package, value=value)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert f'needs {package}, which is not installed: pip install "multimodal-parity[audio]"' in done.stdout.replace(
        "need ", "needs "
    )
