"""One process that times one library in one framework on request: `bench_worker.py LIBRARY BACKEND FOLDER`.

LIBRARY is `ours` or `reference`. It reads one task per line (forward, backward, generate) and answers with the seconds
that one call took; the first lines say how long importing, loading and the first calls took. The environment decides
which library there is: the reference has one of its own.
"""

from __future__ import annotations

import os
import sys
import time

START = time.perf_counter()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np  # noqa: E402  # after the clock has started

BATCH, LENGTH, NEW_TOKENS = 4, 16, 32
SETTINGS = {"max_length": NEW_TOKENS + 1, "decoder_start_token_id": 50256, "pad_token_id": 50256, "eos_token_id": 50257}


def inputs(seed: int = 0) -> dict[str, np.ndarray]:
    """A batch of images and labels."""
    numbers = np.random.Generator(np.random.PCG64(seed))
    return {
        "pixel_values": numbers.uniform(-1, 1, (BATCH, 3, 224, 224)).astype(np.float32),
        "labels": numbers.integers(0, 50257, (BATCH, LENGTH)),
    }


def load(library: str, backend: str, folder: str):
    """The model of one library."""
    prefix = {"pt": "", "tf": "TF", "flax": "Flax"}[backend]
    if library == "ours":
        import multimodal

        return getattr(multimodal, f"{prefix}VisionEncoderDecoderModel").from_pretrained(folder)
    import transformers

    cls = getattr(transformers, f"{prefix}VisionEncoderDecoderModel")
    if backend == "pt":
        return cls.from_pretrained(folder).eval()
    halves = (f"{folder}/encoder", f"{folder}/decoder")
    model = cls.from_encoder_decoder_pretrained(*halves, encoder_from_pt=True, decoder_from_pt=True)
    model.config.decoder_start_token_id = model.config.pad_token_id = 50256
    return model


def tasks_pt(model, library: str) -> dict:
    import torch

    arrays = {name: torch.from_numpy(value) for name, value in inputs().items()}

    def forward():
        with torch.no_grad():
            return model(**arrays, use_cache=False).loss.item()

    def backward():
        loss = model(**arrays, use_cache=False).loss
        model.zero_grad(set_to_none=True)
        loss.backward()
        return loss.item()

    def generate():
        return model.generate(arrays["pixel_values"][:1], **SETTINGS).shape

    return {"forward": forward, "backward": backward, "generate": generate}


def tasks_tf(model, library: str) -> dict:
    import tensorflow as tf

    arrays = {name: tf.constant(value) for name, value in inputs().items()}
    call = tf.function(lambda: model(**arrays, use_cache=False, training=False).loss)
    model(**arrays)  # the reference makes its variables in the first call
    watched = [v.value if library == "ours" else v for v in model.trainable_variables]

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = model(**arrays, use_cache=False, training=False).loss
        return loss, tape.gradient(loss, watched)

    return {
        "forward": lambda: float(np.mean(call())),
        "backward": lambda: float(np.mean(step()[0])),
        "generate": lambda: model.generate(arrays["pixel_values"][:1], **SETTINGS).shape,
    }


def tasks_flax(model, library: str) -> dict:
    import jax
    import jax.numpy as jnp

    arrays = inputs()
    pixels, labels = jnp.asarray(arrays["pixel_values"]), jnp.asarray(arrays["labels"])
    tokens = jnp.concatenate([jnp.full_like(labels[:, :1], 50256), labels[:, :-1]], 1)

    def loss(params):
        logits = model(pixels, decoder_input_ids=tokens, params=params).logits
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], -1).mean()

    forward, gradient = jax.jit(loss), jax.jit(jax.value_and_grad(loss))
    return {
        "forward": lambda: float(forward(model.params)),
        "backward": lambda: float(jax.block_until_ready(gradient(model.params))[0]),
        "generate": lambda: jax.block_until_ready(model.generate(pixels[:1], **SETTINGS).sequences).shape,
    }


def main() -> None:
    library, backend, folder = sys.argv[1:4]
    if library == "ours":
        __import__(f"multimodal.{backend}").__name__  # noqa: B018
    else:
        __import__("transformers")
    __import__({"pt": "torch", "tf": "tensorflow", "flax": "flax"}[backend])
    imported = time.perf_counter()
    model = load(library, backend, folder)
    loaded = time.perf_counter()
    tasks = {"pt": tasks_pt, "tf": tasks_tf, "flax": tasks_flax}[backend](model, library)
    print(f"import {imported - START:.3f} load {loaded - imported:.3f}", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        tasks[line.strip()]()
        print(f"{time.perf_counter() - start:.6f}", flush=True)


if __name__ == "__main__":
    main()
