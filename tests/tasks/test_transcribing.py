"""Transcripts: the same in any company, with the times of what is said, and what is said of clips that cannot be used."""

import shutil
import warnings

import numpy as np
import pytest
import soundfile
import soxr

from multimodal import Data2VecAudioForCTC, Wav2Vec2FeatureExtractor, tasks
from multimodal.tasks import clips as sound
from multimodal.tasks import transcribing

LETTERS = ("<pad>", "<s>", "</s>", "<unk>", "|", "a", "b", "c", "d")


@pytest.fixture(scope="module")
def loaded(transcriber):
    return tasks.load(transcriber, "transcription", "pt")


@pytest.fixture
def saying(loaded, monkeypatch):
    """Makes the model say given frames, surely; other scores (frames, letters) as they are."""

    def say(frames):
        scores = 9 * np.eye(len(LETTERS))[[LETTERS.index(x) for x in frames]] if isinstance(frames, list) else frames
        monkeypatch.setattr(sound, "outputs", lambda loaded, clips, field, count: [scores for _ in clips])
        return loaded

    return say


def texts(*arguments, **options):
    return [found.text for found in tasks.transcription(*arguments, **{"sampling_rate": 100, **options})]


def test_what_is_said_does_not_depend_on_the_neighbours(loaded, clips):
    alone = [texts(loaded, [clip])[0] for clip in clips]
    assert len(set(alone)) >= 4
    assert texts(loaded, clips) == alone
    assert texts(loaded, clips, batch_size=2) == alone
    assert texts(loaded, clips[::-1], batch_size=3) == alone[::-1]


def test_by_a_name_a_model_is_loaded_with_exact_padding(loaded, transcriber):
    assert loaded.model.config.padding_mode == "exact"
    assert "padding_mode" not in (transcriber / "config.json").read_text(encoding="utf-8")


def test_nor_for_a_live_model_whose_padding_leaks(loaded, transcriber, clips):
    model = Data2VecAudioForCTC.from_pretrained(transcriber)
    assert model.config.padding_mode == "published"
    assert texts(model, clips) == texts(loaded, clips)
    found, exact = (sound.outputs(one, clips, "logits", 5) for one in (tasks.load(model, "transcription"), loaded))
    for row, wanted in zip(found, exact):
        np.testing.assert_allclose(row, wanted, rtol=1e-4, atol=1e-5)
    assert model.config.padding_mode == "published"


def test_nor_where_the_extractor_counts_padding_as_sound(loaded, transcriber, clips, tmp_path):
    shutil.copytree(transcriber, tmp_path / "unmasked")
    Wav2Vec2FeatureExtractor(sampling_rate=100, return_attention_mask=False).save_pretrained(tmp_path / "unmasked")
    assert texts(tmp_path / "unmasked", clips) == texts(loaded, clips)


def test_files_arrays_and_lists_say_the_same(loaded, clips, sounds):
    assert texts(loaded, sounds, sampling_rate=None) == texts(loaded, clips)
    assert texts(loaded, [[float(x) for x in clips[0]], str(sounds[1])]) == texts(loaded, clips[:2])


def test_words_and_characters_have_their_times(saying, clips):
    frames = ["a", "a", "<pad>", "a", "b", "|", "|", "<pad>", "c", "c", "<pad>"]
    (found,) = tasks.transcription(saying(frames), clips[:1], sampling_rate=100, offsets=True)
    assert found.text == "aab c"
    assert found.words == [("aab", 0.0, 0.25), ("c", 0.4, 0.5)]  # a frame is 5 samples of 100 in a second
    assert found.characters == [
        ("a", 0.0, 0.1), ("a", 0.15, 0.2), ("b", 0.2, 0.25), (" ", 0.25, 0.35), ("c", 0.4, 0.5),
    ]  # fmt: skip


def test_an_adapter_makes_frames_longer(saying, clips):
    loaded = saying(["a", "b"])
    model = Data2VecAudioForCTC(
        loaded.model.config.__class__.from_dict({**loaded.model.config.to_dict(), "add_adapter": True}), seed=0
    )
    adapted = tasks.Loaded(model, "pt", tokenizer=loaded.tokenizer, feature_extractor=loaded.feature_extractor)
    (found,) = tasks.transcription(adapted, clips[:1], sampling_rate=100, offsets=True)
    assert found.words == [("ab", 0.0, 0.8)]  # three layers of stride 2


def test_times_are_left_out_where_nobody_asks_for_them(loaded, clips):
    assert tasks.transcription(loaded, clips[:1], sampling_rate=100)[0][1:] == (None, None)


def test_beams_sum_all_ways_to_say_a_text(saying, clips):
    scores = np.full((2, len(LETTERS)), -30.0)
    scores[:, 0], scores[:, 5] = np.log(0.6), np.log(0.4)  # blank twice: 0.36, an "a" somewhere: 0.64
    loaded = saying(scores)
    assert texts(loaded, clips[:1]) == [""]
    assert texts(loaded, clips[:1], beams=2) == ["a"]


def test_a_list_of_words_leaves_no_other_and_keeps_their_times(saying, clips):
    loaded = saying(["a", "c", "|", "b", "b"])
    (found,) = tasks.transcription(loaded, clips[:1], sampling_rate=100, words=["ab", "b"], offsets=True)
    assert found.text == "ab b"
    assert [word.text for word in found.words or []] == ["ab", "b"]
    assert (found.words[0].start, found.words[1].end) == (0.0, 0.25)


def test_a_list_of_words_that_a_few_beams_lose_is_searched_for_wider(saying, clips):
    # 20 frames of which each says c or d, surely: what begins with an a is far from the likeliest prefixes.
    scores = np.full((20, len(LETTERS)), -50.0)
    scores[:, [7, 8]] = 0.0
    scores[:, 5] = -9.0
    loaded = saying(scores)
    few = ["cdcdcdcdcdcdcdcdcdcdcdcd", "dcdcdcdcdcdcdcdcdcdcdcdc", "a"]  # two are too long for the frames
    assert set(texts(loaded, clips[:1], words=few)[0].split()) == {"a"}
    failed = {}
    found = tasks.transcription(
        loaded, clips[:2], sampling_rate=100, words=few[:2], beams=2, on_error=failed.__setitem__
    )
    assert found == [None, None]
    assert str(failed[1]).startswith("clips[1]: words: expected a width at which a text of these words is left, got 2")


def test_another_rate_is_resampled_where_it_is_asked_for(loaded, clips, tmp_path):
    soundfile.write(tmp_path / "fast.wav", clips[0], 200, subtype="FLOAT")
    with pytest.raises(ValueError, match=r"clips\[0\]: .*fast\.wav: expected a sampling rate of 100 Hz, got 200 Hz"):
        tasks.transcription(loaded, [tmp_path / "fast.wav"])
    wanted = texts(loaded, [soxr.resample(clips[0], 200, 100, quality="HQ")])
    assert texts(loaded, [tmp_path / "fast.wav"], sampling_rate=None, resample=True) == wanted
    assert texts(loaded, [clips[0]], sampling_rate=200, resample=True) == wanted


def test_channels_are_folded_down_where_it_is_asked_for(loaded, clips, tmp_path):
    two = np.stack([clips[0], clips[0] / 2], -1)
    soundfile.write(tmp_path / "two.wav", two, 100, subtype="FLOAT")
    with pytest.raises(ValueError, match=r"two\.wav: expected mono, got 2 channels; to_mono=True takes their mean"):
        tasks.transcription(loaded, [tmp_path / "two.wav"])
    assert texts(loaded, [tmp_path / "two.wav"], sampling_rate=None, to_mono=True) == texts(loaded, [two.mean(-1)])


def bad_files(folder):
    """{what is wrong: (file, what is said of it)}"""
    tone = np.sin(np.arange(400) / 3).astype(np.float32)
    paths = {name: folder / f"{name}.flac" for name in ("missing", "text", "cut", "short")}
    paths["text"].write_text("no sound")
    soundfile.write(paths["cut"], tone, 100)
    paths["cut"].write_bytes(paths["cut"].read_bytes()[:-60])
    soundfile.write(paths["short"], tone[:3], 100)
    return {
        "missing": (paths["missing"], "but the file does not exist"),
        "text": (paths["text"], "expected a whole wav, flac or ogg file"),
        "cut": (paths["cut"], "cut off"),
        "short": (paths["short"], r"at least 4 samples at 100 Hz \(the convolutions need as many\), got 3"),
        "folder": (folder, "but that is a folder"),
    }


@pytest.mark.parametrize("kind", ["missing", "text", "cut", "short", "folder"])
def test_a_file_that_cannot_be_used_is_named(loaded, tmp_path, kind):
    path, message = bad_files(tmp_path)[kind]
    with pytest.raises(ValueError, match=message) as error:
        tasks.transcription(loaded, [path])
    assert str(path) in str(error.value)
    assert str(error.value).startswith("clips[0]: ")


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (np.zeros(0, np.float32), "expected 1 to .* samples, got 0"),
        (np.full(50, np.nan, np.float32), "expected finite samples, got nan"),
        (np.arange(50), ".*whose full scale nobody knows"),
        (np.zeros((2, 50), np.float32), r"expected one clip \(samples,\), got 2"),
        (np.zeros(3, np.float32), "expected a clip of at least 4 samples"),
        (3, "expected an array, a list of floats, a path"),
    ],
)
def test_an_array_that_cannot_be_used_is_named_by_its_place(loaded, clips, clip, message):
    with pytest.raises(ValueError, match=rf"clips\[1\]: {message}"):
        tasks.transcription(loaded, [clips[0], clip], sampling_rate=100)


def test_bad_clips_among_good_ones_can_be_left_out(loaded, clips, sounds, tmp_path):
    failed, moved = {}, []
    found = tasks.transcription(
        loaded, [sounds[0], tmp_path / "missing.wav", sounds[2]], batch_size=2, on_error=failed.__setitem__,
        progress=lambda done, total: moved.append((done, total)),
    )  # fmt: skip
    assert found[1] is None
    assert list(failed) == [1]
    assert [found[0].text, found[2].text] == texts(loaded, [clips[0], clips[2]])
    assert moved == [(2, 3), (3, 3)]


def test_arrays_without_a_rate_are_one_warning_and_files_none(loaded, clips, sounds):
    with pytest.warns(UserWarning, match="sampling_rate: not given; arrays are taken to be at 100 Hz") as told:
        found = tasks.transcription(loaded, clips)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tasks.transcription(loaded, sounds) == found


def test_no_clips_are_no_transcripts(loaded):
    assert tasks.transcription(loaded, []) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clips": "a.wav"}, "clips: expected a list of clips, got str"),
        ({"batch_size": 0}, "batch_size: expected a positive integer, got 0"),
        ({"beams": 0}, "beams: expected a positive integer, got 0"),
        ({"words": "yes"}, "words: expected a list of texts, got str"),
        ({"words": ["yes"]}, "words: expected words of the letters of the vocabulary, got 'yes'"),
        ({"resample": "yes"}, "resample: expected True or False"),
        ({"model_or_name": "digit-lines"}, "for transcription, a model_type among data2vec-audio, got 'vision-enc"),
    ],
)
def test_bad_options_are_errors_that_name_them(loaded, clips, options, message):
    with pytest.raises(ValueError, match=message):
        tasks.transcription(**{"model_or_name": loaded, "clips": clips[:1], "sampling_rate": 100, **options})


def test_a_checkpoint_without_the_head_is_refused(voices):
    with pytest.raises(ValueError, match=r"trained for transcription .*, got one without the weights of lm_head"):
        tasks.load(voices, "transcription", "pt")


def test_a_model_without_a_feature_extractor_is_refused(loaded):
    alone = tasks.Loaded(loaded.model, "pt", tokenizer=loaded.tokenizer)
    with pytest.raises(ValueError, match="expected a feature extractor beside the model for transcription, got none"):
        tasks.load(alone, "transcription")


def test_a_backend_that_compiles_sees_few_shapes(loaded, clips, monkeypatch):
    seen, called = [], sound.call
    monkeypatch.setattr(sound, "call", lambda model, arrays: seen.append(arrays) or called(model, arrays))
    prepared = [clip / clip.std() for clip in clips]
    wanted = sound.outputs(loaded, prepared[:2], "logits", 4)
    compiled = tasks.Loaded(loaded.model, "flax", feature_extractor=loaded.feature_extractor)
    found = sound.outputs(compiled, prepared[:2], "logits", 4)
    assert [arrays["input_values"].shape for arrays in seen] == [(2, 123), (4, 128)]
    for row, other in zip(wanted, found):
        np.testing.assert_allclose(row, other, rtol=1e-5, atol=1e-5)
    for length in (1, 7, 16, 17, 1000, 12_345):
        rounded = sound._rounded(length)
        assert length <= rounded <= length * 9 / 8
        assert len(set(map(sound._rounded, range(length, 2 * length)))) <= 9


def test_the_embedded_one_is_there():
    assert transcribing.EMBEDDED.name == "spoken-words"
