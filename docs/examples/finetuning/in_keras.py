"""Teach the reader of handwriting printed digits, in Keras: `fit` on `tf.data` with callbacks and mixed precision.

python docs/examples/finetuning/in_keras.py OUT [--checkpoint digit-lines] [--steps 60]
"""

import argparse
import json
import tempfile
from pathlib import Path

import keras
import numpy as np
from printed_digits import IGNORED, Encoder, lines, right

from multimodal import TFVisionEncoderDecoderModel

import tensorflow as tf  # isort: skip  # behind multimodal, which keeps JAX out of TensorFlow Lite

parser = argparse.ArgumentParser()
parser.add_argument("out")
parser.add_argument("--checkpoint", default="digit-lines")
parser.add_argument("--steps", type=int, default=60)
options = parser.parse_args()

keras.utils.set_random_seed(0)
encoder = Encoder(options.checkpoint)


def dataset(count, seed):
    """Batches of sixteen lines, each padded to the longest of its own."""
    pictures, texts = lines(count, seed)
    pixels, labels = encoder.pixels(pictures), [encoder.ids(text) for text in texts]
    examples = tf.data.Dataset.from_tensor_slices({"pixel_values": pixels, "labels": tf.ragged.constant(labels)})
    dense = examples.map(lambda row: {"pixel_values": row["pixel_values"], "labels": tf.cast(row["labels"], tf.int32)})
    return dense.padded_batch(16, padding_values={"pixel_values": 0.0, "labels": IGNORED}), pictures, texts


training, _, _ = dataset(16 * options.steps, seed=3)
held_out, pictures, texts = dataset(64, seed=4)
model = TFVisionEncoderDecoderModel.from_pretrained(options.checkpoint, dtype="mixed_bfloat16")
names = model.published_names()
plain = [path for path in names if names[path].endswith(("bias", "LayerNorm.weight", "layernorm.weight"))]
optimizer = keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(4e-4, options.steps + 1), weight_decay=0.01)
optimizer.exclude_from_weight_decay(var_list=[v for v in model.trainable_variables if v.path in plain])
model.compile(optimizer, metrics=["accuracy"])


def evaluated(model):
    """(loss, share of lines read right) on lines that nothing was trained on."""
    loss = model.evaluate(held_out, verbose=0, return_dict=True)["loss"]
    return loss, right(encoder.texts(np.asarray(model.generate(encoder.pixels(pictures), max_length=9))), texts)


before = evaluated(model)
with tempfile.TemporaryDirectory() as folder:
    best = Path(folder) / "best.weights.h5"
    epochs = 2
    history = model.fit(
        training.repeat(), epochs=epochs, steps_per_epoch=max(1, options.steps // epochs), validation_data=held_out,
        verbose=0, shuffle=False,
        callbacks=[
            keras.callbacks.ModelCheckpoint(best, save_weights_only=True, save_best_only=True),
            keras.callbacks.EarlyStopping(patience=2),
            keras.callbacks.CSVLogger(Path(folder) / "log.csv"),
            keras.callbacks.TerminateOnNaN(),
        ],
    )  # fmt: skip
    # Weights go into a fresh model, here one that computes in float32.
    fresh = TFVisionEncoderDecoderModel(model.config)
    fresh.load_weights(best)
    fresh.generation_config = model.generation_config
fresh.compile()
after = evaluated(fresh)
fresh.save_pretrained(options.out)
encoder.processor.save_pretrained(options.out)
encoder.tokenizer.save_pretrained(options.out)
print(json.dumps({"before": before, "after": after, "accuracy": history.history["accuracy"]}))
