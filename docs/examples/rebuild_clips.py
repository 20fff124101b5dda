"""Rebuild what is hidden of a video and its sound: masked autoencoding with a TVLT that this program trains first.

    python docs/examples/rebuild_clips.py                 # trains in PyTorch for a minute or two, then draws
    python docs/examples/rebuild_clips.py --backend flax --checkpoint a-folder   # trained into the folder if it is not there

No TVLT comes with the library: this one is tiny, and knows nothing but the few places that this program shows it. A clip is a
piece of a line of real handwriting that gets brighter and darker, and a chord that gets louder and softer with it; each piece
has a chord of its own. Three quarters of the patches of the frames and half of the times of the sound are hidden. The picture
(docs/images/reconstruction.png) shows what the model makes of the rest: of a piece that it was trained on, in a light, with
a sound and with parts hidden that it was not. The figures say how far off it is over 64 such clips.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from multimodal import TvltConfig, TvltFeatureExtractor, TvltImageProcessor, TvltProcessor, hub

LINES = hub.EMBEDDED / "digit-search" / "images"
PIECES = 24
"""Pieces of lines that there are clips of."""
FRAMES, SIDE, PATCH = 8, 24, 6
TIMES, BANDS, SOUND_PATCH = 64, 64, (8, 16)
RATE, HOP = 44100, 512
COLUMNS, FRAME_SCALE, SOUND_SCALE, GAP, LABEL = 4, 5, 4, 8, 16
"""Of the drawing: frames beside each other, screen pixels for a pixel, between pictures, and for a line of text."""


def processor() -> TvltProcessor:
    """What turns frames and sound into arrays of the small model."""
    frames = TvltImageProcessor(size=SIDE, crop_size=SIDE, patch_size=[PATCH, PATCH], num_frames=FRAMES)
    sound = TvltFeatureExtractor(spectrogram_length=TIMES, feature_size=BANDS, patch_size=list(SOUND_PATCH))
    return TvltProcessor(frames, sound)


def configuration() -> TvltConfig:
    """A model of 0.4 million numbers."""
    return TvltConfig(
        image_size=SIDE, image_patch_size=[PATCH, PATCH], num_frames=FRAMES, spectrogram_length=TIMES,
        frequency_length=BANDS, audio_patch_size=list(SOUND_PATCH), hidden_size=96, num_hidden_layers=3,
        num_attention_heads=4, intermediate_size=192, decoder_hidden_size=64, decoder_num_hidden_layers=2,
        decoder_num_attention_heads=4, decoder_intermediate_size=128, audio_mask_ratio=0.5, task_matching=False,
    )  # fmt: skip


def pieces() -> list[tuple[np.ndarray, np.ndarray]]:
    """Handwriting (SIDE, SIDE), ink is 255, and the hertz of its chord (3,)."""
    rng = np.random.default_rng(7)
    found = []
    for path in sorted(LINES.glob("*.png"))[:PIECES]:
        line = 255.0 - np.asarray(Image.open(path).convert("L"), np.float32)
        left = np.convolve(line.sum(0), np.ones(SIDE), "valid").argmax()  # where there is most ink
        found.append((line[:SIDE, left : left + SIDE], rng.uniform(200, 4000, 3)))
    return found


def clips(count: int, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """`count` videos (frames, height, width, 3), uint8, and their sounds (samples,), float32."""
    rng, known = np.random.default_rng(seed), pieces()
    seconds = np.arange(TIMES * HOP) / RATE
    videos, sounds = [], []
    for _ in range(count):
        piece, chord = known[rng.integers(len(known))]
        turns, start = rng.uniform(0.5, 2), rng.uniform()
        strength = 0.6 + 0.4 * np.sin(2 * np.pi * (turns * np.linspace(0, 1, len(seconds)) + start))
        shown = strength[(np.arange(FRAMES) * 2 + 1) * len(seconds) // (2 * FRAMES)]
        frames = piece[None, :, :, None] * shown[:, None, None, None]
        videos.append(frames.repeat(3, axis=3).round().astype(np.uint8))
        tone = np.sin(2 * np.pi * chord[:, None] * seconds + rng.uniform(0, 6, (3, 1))).mean(0)
        sounds.append((tone * 10 ** (2 * strength - 2)).astype(np.float32))
    return videos, sounds


def inputs(prepare: TvltProcessor, count: int, seed: int) -> dict[str, np.ndarray]:
    """Arguments of the model."""
    videos, sounds = clips(count, seed)
    return prepare(list(videos), sounds, sampling_rate=RATE, return_tensors="np")


def train(folder: Path, steps: int, batch: int = 16, clips_in_all: int = 512) -> None:
    """Train a small model from scratch and save it with its processor."""
    import torch

    from multimodal.pt import TvltForPreTraining

    torch.set_num_threads(1)  # the products are too small to share out
    prepare, chance = processor(), torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    given = {name: torch.from_numpy(value) for name, value in inputs(prepare, clips_in_all, seed=0).items()}
    model = TvltForPreTraining(configuration(), seed=0).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=2e-3, total_steps=steps, pct_start=0.1)
    for step in range(steps):
        chosen = torch.randint(clips_in_all, (batch,), generator=chance)
        loss = model(
            **{name: value[chosen] for name, value in given.items()}
        ).loss  # in training patches are hidden by chance
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)
    model.save_pretrained(folder)
    prepare.save_pretrained(folder)


def rebuild(model, given: dict[str, np.ndarray], backend: str, seed: int = 1) -> dict[str, np.ndarray]:
    """(clips, patches, numbers) that the model makes of the patches, and which were hidden, (clips, patches)."""
    if backend == "pt":
        torch = importlib.import_module("torch")
        given = {name: torch.from_numpy(value) for name, value in given.items()}
    out = model(**given, mask_seed=seed)
    seen = model.base_model(**given, mask_pixel=True, mask_audio=True, mask_seed=seed)  # the same seed hides the same
    found = {"pixels": out.pixel_logits, "sound": out.audio_logits}
    found |= {"hidden_pixels": seen.pixel_label_masks, "hidden_sound": seen.audio_label_masks}
    return {name: np.asarray(value.detach() if backend == "pt" else value) for name, value in found.items()}


def cut(values: np.ndarray, patch: tuple[int, int]) -> np.ndarray:
    """(pictures, channels, height, width) as (pictures, patches, numbers): row, column, colour."""
    count, channels, height, width = values.shape
    down, across = height // patch[0], width // patch[1]
    values = values.reshape(count, channels, down, patch[0], across, patch[1]).transpose(0, 2, 4, 3, 5, 1)
    return values.reshape(count, down * across, -1)


def joined(patches: np.ndarray, patch: tuple[int, int], across: int) -> np.ndarray:
    """(patches, numbers) of one picture, or of several one below the other, as (height, width, channels)."""
    values = patches.reshape(-1, across, *patch, patches.shape[-1] // (patch[0] * patch[1])).swapaxes(1, 2)
    return values.reshape(-1, across * patch[1], values.shape[-1])


def errors(found: dict[str, np.ndarray], given: dict[str, np.ndarray]) -> tuple[float, float]:
    """Mean squared errors of the hidden patches of frames and of sound."""
    frames = given["pixel_values"]
    pixels = cut(frames.reshape(-1, *frames.shape[2:]), (PATCH, PATCH)).reshape(found["pixels"].shape)
    sound = cut(given["audio_values"], SOUND_PATCH)
    pairs = (("pixels", pixels), ("sound", sound))
    return tuple(float(np.square(found[name] - true)[found[f"hidden_{name}"] > 0].mean()) for name, true in pairs)


def drawn(found: dict[str, np.ndarray], given: dict[str, np.ndarray]) -> Image.Image:
    """The first clip: what was shown of it, what the model made of that, and how it was."""
    true = {
        "pixels": cut(given["pixel_values"][0], (PATCH, PATCH)).reshape(found["pixels"].shape[1:]),
        "sound": cut(given["audio_values"][:1], SOUND_PATCH)[0],
    }
    rows = {}
    for title, of in (("what it is shown", "shown"), ("what it makes of that", "made"), ("how it was", "true")):
        filled = {}
        for name, values in true.items():
            other = {"shown": np.nan, "made": found[name][0], "true": values}[of]
            filled[name] = np.where(found[f"hidden_{name}"][0][:, None] > 0, other, values)
        frames = np.split(joined(filled["pixels"], (PATCH, PATCH), SIDE // PATCH), FRAMES)
        sound = joined(filled["sound"], SOUND_PATCH, BANDS // SOUND_PATCH[1]).swapaxes(0, 1)[::-1]
        rows[title] = [*(_large(frame, FRAME_SCALE) for frame in frames), _large(sound, SOUND_SCALE)]
    return _sheet(rows)


def _large(values: np.ndarray, scale: int) -> Image.Image:
    """-1..1 as grey, what is hidden (NaN) as blue."""
    grey = np.nan_to_num((np.clip(values, -1, 1) + 1) * 127.5).mean(-1, keepdims=True).round().astype(np.uint8)
    colours = np.where(np.isnan(values).any(-1, keepdims=True), np.uint8([70, 110, 190]), grey.repeat(3, -1))
    return Image.fromarray(colours).resize((values.shape[1] * scale, values.shape[0] * scale), Image.Resampling.NEAREST)


def _sheet(rows: dict[str, list[Image.Image]]) -> Image.Image:
    """Frames in two lines with the sound beside them, for each title."""
    *frames, sound = next(iter(rows.values()))
    side = frames[0].width + GAP
    width, height = GAP + COLUMNS * side + sound.width + GAP, LABEL + sound.height + GAP
    sheet = Image.new("RGB", (width, height * len(rows) + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (title, (*frames, sound)) in enumerate(rows.items()):
        top = GAP + number * height
        pen.text((GAP, top - 4), title, fill="black", font=ImageFont.load_default(13))
        for at, frame in enumerate(frames):
            sheet.paste(frame, (GAP + at % COLUMNS * side, top + LABEL + at // COLUMNS * side))
        sheet.paste(sound, (GAP + COLUMNS * side, top + LABEL))
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, help="trained into this folder where it is not there")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--backend", choices=["pt", "tf", "flax"], default="pt")
    parser.add_argument("--picture", type=Path, default=Path("docs/images/reconstruction.png"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.checkpoint or Path(name) / "taught"
        if not (folder / "config.json").exists():
            train(folder, options.steps)
        prefix = {"pt": "", "tf": "TF", "flax": "Flax"}[options.backend]
        classes = importlib.import_module(f"multimodal.{options.backend}")
        model = getattr(classes, f"{prefix}TvltForPreTraining").from_pretrained(folder)
        prepare = TvltProcessor.from_pretrained(folder)
    given = inputs(prepare, 64, seed=1)
    found = rebuild(model, given, options.backend)
    usual = {**found, "pixels": np.zeros_like(found["pixels"]) + given["pixel_values"].mean()}
    usual["sound"] = np.zeros_like(found["sound"]) + given["audio_values"].mean()
    print("mean squared error of hidden patches  frames  sound")
    print("rebuilt                               {:.4f}  {:.4f}".format(*errors(found, given)))
    print("a grey field and an even hum          {:.4f}  {:.4f}".format(*errors(usual, given)))
    options.picture.parent.mkdir(parents=True, exist_ok=True)
    drawn(found, given).save(options.picture, optimize=True)


if __name__ == "__main__":
    main()
