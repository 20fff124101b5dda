"""How near voices are: by x-vectors where a checkpoint has them, else by mean hidden states."""

import numpy as np
import pytest
import torch

from multimodal import Data2VecAudioForXVector, Data2VecAudioModel, tasks


def test_x_vectors_are_compared_where_the_head_is_there(voices, clips):
    model = Data2VecAudioForXVector.from_pretrained(voices)
    model.eval()
    (found,) = tasks.speaker_similarity(voices, [clips[:2]], sampling_rate=100)
    vectors = []
    for clip in clips[:2]:
        clip = (clip - clip.mean()) / clip.std()
        with torch.no_grad():
            vectors.append(model(torch.from_numpy(clip)[None]).embeddings[0])
    wanted = torch.nn.functional.cosine_similarity(*vectors, dim=0)
    assert found.compared == "x-vectors"
    assert found.score == pytest.approx(float(wanted), abs=1e-5)


def test_mean_hidden_states_are_compared_where_it_is_not(transcriber, clips, caplog):
    model = Data2VecAudioModel.from_pretrained(transcriber)
    model.eval()
    caplog.clear()
    (found,) = tasks.speaker_similarity(transcriber, [clips[:2]], sampling_rate=100)
    vectors = []
    for clip in clips[:2]:
        clip = (clip - clip.mean()) / clip.std()
        with torch.no_grad():
            vectors.append(model(torch.from_numpy(clip)[None]).last_hidden_state[0].mean(0))
    wanted = torch.nn.functional.cosine_similarity(*vectors, dim=0)
    assert found.compared == "mean hidden states"
    assert found.score == pytest.approx(float(wanted), abs=1e-5)
    assert not caplog.records  # that the head of letters is not used says nothing here


def test_pairs_do_not_depend_on_each_other(voices, clips):
    pairs = [(clips[0], clips[1]), (clips[2], clips[2]), (clips[1], clips[0]), (clips[4], clips[2])]
    together = [found.score for found in tasks.speaker_similarity(voices, pairs, sampling_rate=100)]
    alone = [tasks.speaker_similarity(voices, [pair], sampling_rate=100)[0].score for pair in pairs]
    two = [found.score for found in tasks.speaker_similarity(voices, pairs, sampling_rate=100, batch_size=2)]
    np.testing.assert_allclose([together, two], [alone, alone], atol=1e-5)
    assert together[1] == pytest.approx(1)
    assert together[0] == pytest.approx(together[2], abs=1e-6)


def test_a_live_model_of_either_kind_is_taken(voices, transcriber, clips):
    for folder, kind in ((voices, Data2VecAudioForXVector), (transcriber, Data2VecAudioModel)):
        model = kind.from_pretrained(folder)
        ours, theirs = (tasks.speaker_similarity(m, [clips[:2]], sampling_rate=100)[0] for m in (model, folder))
        assert ours.compared == theirs.compared
        assert ours.score == pytest.approx(theirs.score, abs=1e-5)


def test_a_bad_clip_is_named_by_its_pair_and_its_file(voices, sounds, tmp_path):
    failed = {}
    found = tasks.speaker_similarity(
        voices, [(sounds[0], tmp_path / "missing.wav"), (sounds[0], sounds[1])], on_error=failed.__setitem__
    )
    assert found[0] is None
    assert found[1].compared == "x-vectors"
    assert str(failed[0]).startswith(f"pairs[0][1]: expected a whole wav, flac or ogg file in {tmp_path}/missing.wav")


def test_a_clip_that_is_too_short_for_statistics_is_named(voices, clips):
    with pytest.raises(ValueError, match=r"pairs\[0\]\[1\]: expected a clip of at least 19 samples"):
        tasks.speaker_similarity(voices, [(clips[0], clips[0][:18])], sampling_rate=100)


@pytest.mark.parametrize("pairs", [["a.wav"], [("a.wav",)], [("a", "b", "c")], [3]])
def test_what_is_no_pair_is_an_error(voices, pairs):
    with pytest.raises(ValueError, match=r"pairs\[0\]: expected two clips, got"):
        tasks.speaker_similarity(voices, pairs, sampling_rate=100)


def test_a_checkpoint_of_another_family_is_refused(classifier):
    with pytest.raises(ValueError, match="for speaker_similarity, a model_type among data2vec-audio, got 'data2vec-v"):
        tasks.load(classifier, "speaker_similarity", "pt")


def test_a_live_model_of_another_class_is_refused(transcriber):
    from multimodal import Data2VecAudioForCTC

    model = Data2VecAudioForCTC.from_pretrained(transcriber)
    wanted = (
        "expected a Data2VecAudioForXVector or a Data2VecAudioModel for speaker_similarity, got a Data2VecAudioForCTC"
    )
    with pytest.raises(ValueError, match=wanted):
        tasks.load(model, "speaker_similarity")
