"""Teach the reader of handwriting printed digits, in Keras: `fit` on `tf.data` with callbacks and mixed precision.

python docs/examples/finetuning/in_keras.py OUT [--checkpoint digit-lines] [--steps 60]

A run that was stopped goes on by the same command, to the same numbers. How the loss fell is drawn in OUT/loss.png.
"""

import csv
import json
import shutil

import keras
import numpy as np
from printed_digits import IGNORED, PARTS, Encoder, arguments, lines, right, state_of

from multimodal import TFVisionEncoderDecoderModel
from multimodal.tasks.curves import curve

import tensorflow as tf  # isort: skip  # behind multimodal, which keeps JAX out of TensorFlow Lite

run = arguments(__doc__)
keras.utils.set_random_seed(0)
tf.config.experimental.enable_op_determinism()
encoder = Encoder(run.checkpoint)


def dataset(count, seed):
    """Batches of sixteen lines, each padded to the longest of its own."""
    pictures, texts = lines(count, seed)
    pixels, labels = encoder.pixels(pictures), [encoder.ids(text) for text in texts]
    examples = tf.data.Dataset.from_tensor_slices({"pixel_values": pixels, "labels": tf.ragged.constant(labels)})
    dense = examples.map(lambda row: {"pixel_values": row["pixel_values"], "labels": tf.cast(row["labels"], tf.int32)})
    return dense.padded_batch(16, padding_values={"pixel_values": 0.0, "labels": IGNORED}), pictures, texts


steps_per_epoch = max(1, run.steps // PARTS)
training, _, _ = dataset(16 * steps_per_epoch, seed=3)
held_out, pictures, texts = dataset(64, seed=4)
model = TFVisionEncoderDecoderModel.from_pretrained(run.checkpoint, dtype="mixed_bfloat16")
names = model.published_names()
plain = [path for path in names if names[path].endswith(("bias", "LayerNorm.weight", "layernorm.weight"))]
optimizer = keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(4e-4, run.steps + 1), weight_decay=0.01)
optimizer.exclude_from_weight_decay(var_list=[v for v in model.trainable_variables if v.path in plain])
model.compile(optimizer, metrics=["accuracy"])


def evaluated(model):
    """(loss, share of lines read right) on lines that nothing was trained on."""
    loss = model.evaluate(held_out, verbose=0, return_dict=True)["loss"]
    return loss, right(encoder.texts(np.asarray(model.generate(encoder.pixels(pictures), max_length=9))), texts)


class Seeds(keras.callbacks.Callback):
    """What dropout draws in an epoch follows from its number alone: Keras keeps no states of random numbers in files."""

    def on_epoch_begin(self, epoch, logs=None):
        rng = np.random.default_rng(epoch)
        for variable in self.model.variables:
            if variable.name == "seed_generator_state":
                variable.assign(rng.integers(0, 2**31, 2).astype("uint32"))


class Stop(keras.callbacks.Callback):
    """Ends the program behind a step, as `--stop-after` says."""

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == run.stop_after:
            raise SystemExit(f"stopped behind step {run.stop_after} of {run.steps}")


def logged():
    """What CSVLogger wrote of each epoch that is done, {name: number}."""
    if not log.exists():
        return []
    with log.open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


before = evaluated(model)
folder = state_of(run)
log, best = folder / "log.csv", folder / "best.weights.h5"
least = min((row["val_loss"] for row in logged()), default=None)
model.fit(
    training, epochs=PARTS, validation_data=held_out, shuffle=False,
    callbacks=[
        Seeds(),
        keras.callbacks.ModelCheckpoint(
            best, save_weights_only=True, save_best_only=True, initial_value_threshold=least
        ),
        keras.callbacks.CSVLogger(log, append=True),
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.BackupAndRestore(folder / "backup"),  # weights and the optimizer, behind each epoch
        Stop(),
    ],
)  # fmt: skip
# Weights go into a fresh model, here one that computes in float32.
fresh = TFVisionEncoderDecoderModel(model.config)
fresh.load_weights(best)
fresh.generation_config = model.generation_config
fresh.compile()
after = evaluated(fresh)
fresh.save_pretrained(run.out)
encoder.processor.save_pretrained(run.out)
encoder.tokenizer.save_pretrained(run.out)
rows = logged()
records = [{"step": (row["epoch"] + 1) * steps_per_epoch, **row} for row in rows]
curve(records, ["loss", "val_loss"], "loss of lines that are learnt from, and of others").save(run.out / "loss.png")
shutil.rmtree(folder)
losses, accuracy = ([row[name] for row in rows] for name in ("loss", "accuracy"))
print(json.dumps({"before": before, "after": after, "losses": losses, "accuracy": accuracy}))
