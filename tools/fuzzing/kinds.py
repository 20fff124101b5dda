"""The kinds of files: what good ones are made of, how a bad one is made, and what opens it as a user would."""

from __future__ import annotations

import contextlib
import fcntl
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fuzzing import mutations
from fuzzing.mutations import Mutation

ROOT = Path(__file__).resolve().parents[2]
CHECKPOINTS = ROOT / "tests" / "golden" / "checkpoints"
VOCABULARIES = ROOT / "tests" / "golden" / "processors" / "vocab"
CANARY = "canary"
"""The file that appears in the folder of the good ones if code in a checkpoint is run."""


@dataclass(frozen=True)
class Kind:
    """One kind of file: `seeds` name (folder of good files, the file in it that is changed)."""

    name: str
    seeds: tuple[tuple[str, str], ...]
    change: Mutation
    open: Callable[[Path], None]

    def make(self, number: int, seed: int, good: Path, target: Path) -> Path:
        """Put a changed file beside good ones into the empty folder `target`; the file."""
        rng = random.Random(f"{seed}:{self.name}:{number}")
        folder, file = rng.choice(self.seeds)
        for path in (good / folder).iterdir():
            (target / path.name).symlink_to(path)
        (target / file).unlink()
        (target / file).write_bytes(self.change((good / folder / file).read_bytes(), rng))
        return target / file


# How a user opens each


def open_model(folder: Path) -> None:
    """Everything that is done with a configuration and its tensors, up to a model."""
    from multimodal import registry
    from multimodal.auto import AutoConfig
    from multimodal.checkpoints.contents import inspect

    with contextlib.suppress(ValueError):  # what it refuses a model may still be made of, where it names no half
        inspect(folder)
    config = AutoConfig.from_pretrained(folder)
    config.to_json_string()
    named = [n for n in config.architectures or [] if n in registry.family(config.model_type).classes]
    name = named[0] if named else registry.model_name("AutoModel", config)
    registry.model_class("pt", name).from_pretrained(folder, ignore_mismatched_sizes=True).config.to_json_string()


def open_tensors(folder: Path) -> None:
    """Every tensor, under the names that its class gives it."""
    from multimodal.checkpoints.canonical import canonical
    from multimodal.checkpoints.contents import inspect
    from multimodal.checkpoints.folder import open_folder

    inspect(folder)
    opened = open_folder(folder)
    tensors = canonical(opened, opened.index).tensors
    for name in tensors.shapes():
        tensors.read(name).sum()


def open_generation(folder: Path) -> None:
    """Settings, and what a call makes of them."""
    from multimodal.auto import AutoConfig
    from multimodal.generation.config import GenerationConfig, resolve

    settings = GenerationConfig.from_pretrained(folder)
    json.dumps(settings.to_dict())
    config = AutoConfig.from_pretrained(folder)
    resolve(settings.beside(config), config, {}, needs_start=False)


def open_tokenizer(folder: Path) -> None:
    """A tokenizer, a call and back again."""
    from multimodal.auto import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    row = tokenizer("a cat sat", "on the mat", verbose=False)
    tokenizer.decode(row["input_ids"], skip_special_tokens=True)
    json.dumps(tokenizer.init_kwargs, default=str)


def open_processor(folder: Path) -> None:
    """An image processor, with a tokenizer where there is one, one small picture and what they say of themselves."""
    import numpy as np

    from multimodal.auto import AutoImageProcessor, AutoProcessor

    picture = np.zeros((20, 31, 3), np.uint8)
    processor = AutoImageProcessor.from_pretrained(folder)
    processor(picture, return_tensors="np")
    processor.to_json_string()
    if hasattr(processor, "do_reduce_labels"):
        processor(picture, picture[..., 0], return_tensors="np")
    if (folder / "tokenizer.json").exists():
        AutoProcessor.from_pretrained(folder)(images=picture)


def open_sound_processor(folder: Path) -> None:
    """A feature extractor, or several processors in one, and a short clip."""
    import numpy as np

    from multimodal.auto import AutoFeatureExtractor, AutoImageProcessor, AutoProcessor

    clip = np.sin(np.arange(5000) / 9)
    sound = AutoFeatureExtractor.from_pretrained(folder)
    sound(clip, sampling_rate=sound.sampling_rate, return_tensors="np")
    AutoProcessor.from_pretrained(folder)
    if (folder / "tvlt").exists():
        AutoImageProcessor.from_pretrained(folder)(np.zeros((2, 20, 31, 3), np.uint8), return_tensors="np")


def open_letters(folder: Path) -> None:
    """A tokenizer of letters, a call and frames."""
    from multimodal.auto import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("A CAT'S", "on")["input_ids"]
    tokenizer.decode([0, *ids, *ids], output_word_offsets=True, output_char_offsets=True)
    tokenizer.init_kwargs  # noqa: B018 - a property that reads every setting


def open_sound(folder: Path) -> None:
    """A sound file as a feature extractor takes it, resampled and folded down."""
    from multimodal.processors.wav2vec2 import Wav2Vec2FeatureExtractor

    (path,) = folder.iterdir()
    Wav2Vec2FeatureExtractor()(path, resample=True, to_mono=True, return_tensors="np")


def open_picture(folder: Path) -> None:
    """A picture as the reader of texts takes it."""
    from multimodal.processors.vit import ViTImageProcessor
    from multimodal.tasks import open_picture as read

    (path,) = folder.iterdir()
    ViTImageProcessor(size=8)(read(path), return_tensors="np")


def open_search_index(folder: Path) -> None:
    """What is known of a folder's pictures, and a search in it."""
    import numpy as np

    from multimodal.tasks import picture_index
    from multimodal.tasks.searching import nearest

    (path,) = folder.iterdir()
    index = picture_index.read(path)
    nearest(np.ones(index.vectors.shape[1], np.float32), index, folder, 3)


_OF_MODELS = (
    "lxmert-pretraining/pt-safetensors", "ved-vit-bert/pt-safetensors", "ved-vit-gpt2/flax-msgpack",
    "data2vec-text-mlm/pt-safetensors", "ved-vit-bert/tf-h5",
)  # fmt: skip
_TOKENIZERS = ("BertTokenizer", "BertTokenizerFast", "GPT2TokenizerFast", "RobertaTokenizer", "RobertaTokenizerFast")


def _in(folders: tuple[str, ...], file: str) -> tuple[tuple[str, str], ...]:
    return tuple((folder, file) for folder in folders)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("config.json", _in(_OF_MODELS, "config.json"), mutations.of_json, open_model),
        Kind(
            "generation_config.json", _in(("generation",), "generation_config.json"), mutations.of_json, open_generation
        ),
        Kind(
            "index", _in(("ved-vit-gpt2/pt-sharded",), "model.safetensors.index.json"), mutations.of_json, open_tensors
        ),
        Kind(
            "safetensors",
            _in(("data2vec-text-mlm/pt-safetensors", "ved-vit-bert/tf-safetensors"), "model.safetensors"),
            mutations.of_safetensors,
            open_tensors,
        ),
        Kind("torch zip", _in(("zip", "zip", "code"), "pytorch_model.bin"), mutations.of_zip, open_tensors),
        Kind(
            "torch legacy", _in(("legacy", "legacy", "old-code"), "pytorch_model.bin"), mutations.of_bytes, open_tensors
        ),
        Kind("h5", _in(("ved-vit-bert/tf-h5", "chunked"), "tf_model.h5"), mutations.of_bytes, open_tensors),
        Kind("msgpack", _in(("ved-vit-gpt2/flax-msgpack",), "flax_model.msgpack"), mutations.of_msgpack, open_tensors),
        Kind(
            "tokenizer.json",
            _in(tuple(name for name in _TOKENIZERS if name.endswith("Fast")), "tokenizer.json"),
            mutations.of_json,
            open_tokenizer,
        ),
        Kind("tokenizer_config.json", _in(_TOKENIZERS, "tokenizer_config.json"), mutations.of_json, open_tokenizer),
        Kind("special_tokens_map.json", _in(_TOKENIZERS, "special_tokens_map.json"), mutations.of_json, open_tokenizer),
        Kind("vocab.txt", _in(("BertTokenizer",), "vocab.txt"), mutations.of_lines, open_tokenizer),
        Kind("vocab.json", _in(("RobertaTokenizer",), "vocab.json"), mutations.of_json, open_tokenizer),
        Kind("merges.txt", _in(("RobertaTokenizer",), "merges.txt"), mutations.of_lines, open_tokenizer),
        Kind(
            "preprocessor_config.json",
            _in(("vit", "deit", "beit", "align"), "preprocessor_config.json"),
            mutations.of_json,
            open_processor,
        ),
        Kind(
            "sound's preprocessor_config.json",
            _in(("wav2vec2", "tvlt"), "preprocessor_config.json"),
            mutations.of_json,
            open_sound_processor,
        ),
        Kind("letters' vocab.json", _in(("wav2vec2",), "vocab.json"), mutations.of_json, open_letters),
        Kind("letters' settings", _in(("wav2vec2",), "tokenizer_config.json"), mutations.of_json, open_letters),
        Kind("wav", _in(("wav",), "clip.wav"), mutations.of_bytes, open_sound),
        Kind("flac", _in(("flac",), "clip.flac"), mutations.of_bytes, open_sound),
        Kind("ogg", _in(("ogg",), "clip.ogg"), mutations.of_bytes, open_sound),
        Kind("png", _in(("png",), "picture.png"), mutations.of_png, open_picture),
        Kind("jpeg", _in(("jpeg",), "picture.jpg"), mutations.of_bytes, open_picture),
        Kind("search-index", _in(("searched",), "photos.search-index"), mutations.of_safetensors, open_search_index),
    )
}


def prepare(good: Path) -> None:
    """Fill a folder with the good files that bad ones are made of, unless another process has."""
    good.mkdir(parents=True, exist_ok=True)
    with (good / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (good / "generation").exists():
            return
        for folder in {folder for kind in KINDS.values() for folder, _ in kind.seeds if "/" in folder}:
            shutil.copytree(CHECKPOINTS / folder, good / folder)
        names = ("zip", "legacy", "code", "old-code", "chunked", "png", "jpeg", "vit", "deit", "beit", "searched")
        for name in names:
            (good / name).mkdir()
        _write_sound(good)
        _write_torch(good)
        _write_chunked(good / "chunked" / "tf_model.h5")
        _write_tokenizers(good)
        _write_pictures(good)
        _write_search_index(good / "searched" / "photos.search-index")
        _write_align(good / "align")
        shutil.copytree(CHECKPOINTS / "ved-vit-bert" / "flax-msgpack", good / "generation")


def _write_sound(good: Path) -> None:
    import numpy as np
    import soundfile

    import multimodal

    clip = np.stack([np.sin(np.arange(2000) / 9), np.cos(np.arange(2000) / 30)], -1) / 2
    for name, subtype in (("wav", "PCM_16"), ("flac", "PCM_16"), ("ogg", "VORBIS")):
        (good / name).mkdir()
        soundfile.write(good / name / f"clip.{name}", clip, 22050, subtype=subtype)
    tokenizer = multimodal.Wav2Vec2CTCTokenizer(str(VOCABULARIES / "ctc" / "vocab.json"))
    multimodal.Wav2Vec2Processor(multimodal.Wav2Vec2FeatureExtractor(), tokenizer).save_pretrained(good / "wav2vec2")
    halves = multimodal.TvltImageProcessor(size=32, crop_size=32), multimodal.TvltFeatureExtractor(patch_size=[8, 16])
    multimodal.TvltProcessor(*halves).save_pretrained(good / "tvlt")
    (good / "tvlt" / "tvlt").touch()


class Code:
    """Makes a file where it is unpickled the usual way."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return exec, (f"import pathlib; pathlib.Path({str(self.path)!r}).touch()",)


def _write_torch(good: Path) -> None:
    import torch

    base = torch.arange(24.0).reshape(4, 6)
    tensors = {"a": base, "b.c": base.t(), "half": base.half(), "ids": base.long(), "window": base[1:3, 2:5]}
    code = {**tensors, "code": Code(good / CANARY)}
    for name, content in (("zip", tensors), ("legacy", tensors), ("code", code), ("old-code", code)):
        path = good / name / "pytorch_model.bin"
        torch.save(content, path, _use_new_zipfile_serialization=name in ("zip", "code"))


def _write_chunked(path: Path) -> None:
    import h5py
    import numpy as np

    with h5py.File(path, "w") as file:
        layer = file.create_group("layer")
        layer.attrs["weight_names"] = [b"model/layer/kernel:0", b"model/layer/bias:0"]
        layer.create_dataset("model/layer/kernel:0", data=np.ones((6, 4), "f4"), chunks=(2, 4), compression="gzip")
        layer.create_dataset("model/layer/bias:0", data=np.ones(4, "f4"), chunks=(2,), fletcher32=True, shuffle=True)


def _write_tokenizers(good: Path) -> None:
    import multimodal

    for name in _TOKENIZERS:
        cls = getattr(multimodal, name)
        files = {k: file for k, file in cls.vocab_files_names.items() if k != "tokenizer_file"}
        folder = VOCABULARIES / name.removesuffix("Fast").removesuffix("Tokenizer").lower()
        cls(**{argument: str(folder / file) for argument, file in files.items()}).save_pretrained(good / name)


def _write_pictures(good: Path) -> None:
    import numpy as np
    from PIL import Image

    from multimodal.processors.beit import BeitImageProcessor
    from multimodal.processors.deit import DeiTImageProcessor
    from multimodal.processors.vit import ViTImageProcessor

    ViTImageProcessor(size=8).save_pretrained(good / "vit")
    DeiTImageProcessor().save_pretrained(good / "deit")
    BeitImageProcessor(size=16, crop_size=8, do_reduce_labels=True).save_pretrained(good / "beit")
    rows, columns = np.mgrid[:24, :30]
    picture = Image.fromarray(np.stack([rows * 9, columns * 8, rows * columns % 256], -1).astype(np.uint8))
    picture.save(good / "png" / "picture.png")
    picture.save(good / "jpeg" / "picture.jpg")


def _write_search_index(path: Path) -> None:
    import numpy as np

    from multimodal.tasks import picture_index

    entries = [picture_index.Entry(f"{i}.png", 100 + i, 10**18 + i, f"{i:064x}") for i in range(5)]
    vectors = np.eye(5, 8, dtype=np.float32)
    picture_index.write(picture_index.PictureIndex("a model", entries, vectors, 2 * 10**18), path)


def _write_align(folder: Path) -> None:
    import multimodal

    tokenizer = multimodal.BertTokenizerFast(str(VOCABULARIES / "bert" / "vocab.txt"))
    multimodal.AlignProcessor(multimodal.EfficientNetImageProcessor(size=16), tokenizer).save_pretrained(folder)
