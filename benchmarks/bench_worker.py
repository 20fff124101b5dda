"""One process that times one library in one framework on request: `bench_worker.py LIBRARY BACKEND SUBJECT FOLDER`.

LIBRARY is `ours` or `reference`. It reads one task per line (forward, backward, generate, sample, ...) and prints the seconds
that one call took; the first line says how long importing and loading took. The environment decides which library there
is: the reference has one of its own.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable
from typing import Any

START = time.perf_counter()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

from bench_subjects import GENERATIONS, SUBJECTS, Subject  # noqa: E402  # after the clock has started

PREFIX = {"pt": "", "tf": "TF", "flax": "Flax"}


def load(library: str, backend: str, subject: Subject, folder: str):
    """The model of one library."""
    package = __import__("multimodal" if library == "ours" else "transformers")
    cls = getattr(package, PREFIX[backend] + subject.class_name)
    if library == "ours" or backend == "pt" or subject.class_name != "VisionEncoderDecoderModel":
        model = cls.from_pretrained(folder)
        return model.eval() if backend == "pt" else model
    halves = (f"{folder}/encoder", f"{folder}/decoder")  # the reference's other frameworks do not load PyTorch's whole
    model = cls.from_encoder_decoder_pretrained(*halves, encoder_from_pt=True, decoder_from_pt=True)
    model.config.decoder_start_token_id = subject.generate["decoder_start_token_id"]
    model.config.pad_token_id = subject.generate["pad_token_id"]
    return model


def generations(subject: Subject, generate: Callable[[int, dict[str, Any]], Any]) -> dict[str, Callable[[], Any]]:
    """The generating tasks of a subject, by a function of (images, settings)."""
    if subject.generate is None:
        return {}
    return {task: functools.partial(generate, *subject.generation(task)) for task in GENERATIONS}


def tasks_pt(model, subject: Subject, library: str) -> dict:
    import torch

    arrays = {name: torch.from_numpy(value) for name, value in subject.arrays().items()}

    def forward():
        with torch.no_grad():
            return model(**arrays)[0].shape

    def backward():
        objective = model(**arrays)[0].square().mean()
        model.zero_grad(set_to_none=True)
        objective.backward()
        return objective.item()

    def generate(images: int, settings: dict):
        return model.generate(arrays["pixel_values"][:images], **settings).shape

    return {"forward": forward, "backward": backward, **generations(subject, generate)}


def tasks_tf(model, subject: Subject, library: str) -> dict:
    import tensorflow as tf

    arrays = {name: tf.constant(value) for name, value in subject.arrays().items()}
    call = tf.function(lambda: model(**arrays, training=False)[0])
    model(**arrays)  # the reference makes its variables in the first call
    watched = [v.value if library == "ours" else v for v in model.trainable_variables]

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            objective = tf.reduce_mean(tf.square(model(**arrays, training=False)[0]))
        return objective, tape.gradient(objective, watched)

    return {
        "forward": lambda: call().numpy().shape,
        "eager": lambda: model(**arrays, training=False)[0].numpy().shape,
        "backward": lambda: float(step()[0]),
        **generations(
            subject, lambda images, settings: model.generate(arrays["pixel_values"][:images], **settings).shape
        ),
    }


def tasks_flax(model, subject: Subject, library: str) -> dict:
    import jax
    import jax.numpy as jnp

    arrays = {name: jnp.asarray(value) for name, value in subject.arrays().items()}
    forward = jax.jit(lambda params: model(**arrays, params=params)[0])
    gradient = jax.jit(jax.value_and_grad(lambda params: jnp.mean(jnp.square(model(**arrays, params=params)[0]))))

    def generate(images: int, settings: dict):
        return jax.block_until_ready(model.generate(arrays["pixel_values"][:images], **settings).sequences).shape

    return {
        "forward": lambda: jax.block_until_ready(forward(model.params)).shape,
        "backward": lambda: float(jax.block_until_ready(gradient(model.params))[0]),
        **generations(subject, generate),
    }


def main() -> None:
    library, backend, name, folder = sys.argv[1:5]
    subject = SUBJECTS[name]
    __import__(f"multimodal.{backend}" if library == "ours" else "transformers")
    __import__({"pt": "torch", "tf": "tensorflow", "flax": "flax"}[backend])
    imported = time.perf_counter()
    model = load(library, backend, subject, folder)
    loaded = time.perf_counter()
    tasks = {"pt": tasks_pt, "tf": tasks_tf, "flax": tasks_flax}[backend](model, subject, library)
    print(f"import {imported - START:.3f} load {loaded - imported:.3f}", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        tasks[line.strip()]()
        print(f"{time.perf_counter() - start:.6f}", flush=True)


if __name__ == "__main__":
    main()
