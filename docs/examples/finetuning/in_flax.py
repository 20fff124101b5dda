"""Teach the reader of handwriting printed digits, in Flax: TrainState, optax, a jitted step, checkpoints that resume.

python docs/examples/finetuning/in_flax.py OUT [--checkpoint digit-lines] [--steps 60]
"""

import argparse
import json
import tempfile
from pathlib import Path

import jax
import optax
import orbax.checkpoint as orbax
from flax.training.train_state import TrainState
from flax.traverse_util import flatten_dict, unflatten_dict
from printed_digits import Encoder, lines, right

from multimodal import FlaxVisionEncoderDecoderModel

parser = argparse.ArgumentParser()
parser.add_argument("out")
parser.add_argument("--checkpoint", default="digit-lines")
parser.add_argument("--steps", type=int, default=60)
options = parser.parse_args()

encoder = Encoder(options.checkpoint)
model, params = FlaxVisionEncoderDecoderModel.from_pretrained(options.checkpoint, _do_init=False)
LONGEST = 7
"""Six digits and the end: one length is one compilation."""


def batch(count, seed):
    pictures, texts = lines(count, seed)
    return {"pixel_values": encoder.pixels(pictures), "labels": encoder.labels(texts, LONGEST)}, texts


def decays(params):
    """A tree of whether a tensor decays, by its published name."""
    names = model.published_names()
    kept = ("bias", "LayerNorm.weight", "layernorm.weight")
    return unflatten_dict({k: not names["/".join(k)].endswith(kept) for k in flatten_dict(params)})


rates = optax.cosine_decay_schedule(4e-4, options.steps + 1)
optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rates, weight_decay=0.01, mask=decays(params)))
state = TrainState.create(apply_fn=model.__call__, params=params, tx=optimizer)


def shifted(labels):
    """What the decoder sees: the start token, then the labels but for the last; pads where no loss counts."""
    config = model.config
    inputs = jax.numpy.roll(labels, 1, 1).at[:, 0].set(config.decoder_start_token_id)
    return jax.numpy.where(inputs < 0, config.pad_token_id, inputs)


def loss_of(params, apply, inputs, key=None):
    labels = inputs["labels"]
    logits = apply(
        inputs["pixel_values"], shifted(labels), params=params, train=key is not None, dropout_rng=key
    ).logits
    counted = labels >= 0
    each = optax.softmax_cross_entropy_with_integer_labels(logits, jax.numpy.where(counted, labels, 0))
    return (each * counted).sum() / counted.sum()


@jax.jit
def step(state, inputs, key):
    gradients = jax.grad(loss_of)(state.params, state.apply_fn, inputs, key)
    return state.apply_gradients(grads=gradients)


@jax.jit
def read(params, pixels):
    return model.generate(pixels, params=params, max_length=9).sequences


held_out, texts = batch(64, seed=6)


def evaluated(params):
    """(loss, share of lines read right) on lines that nothing was trained on."""
    return float(loss_of(params, state.apply_fn, held_out)), right(
        encoder.texts(read(params, held_out["pixel_values"])), texts
    )


before = evaluated(state.params)
with tempfile.TemporaryDirectory() as folder:
    for index in range(options.steps):
        key = jax.random.fold_in(jax.random.key(0), index)
        state = step(state, batch(16, seed=1000 + index)[0], key)
        if index == options.steps // 2:  # stop here, and go on from what was kept
            with orbax.StandardCheckpointer() as keeper:
                keeper.save(Path(folder) / "half", state)
                keeper.wait_until_finished()
                state = keeper.restore(Path(folder) / "half", state)
after = evaluated(state.params)
model.save_pretrained(options.out, params=state.params)
encoder.processor.save_pretrained(options.out)
encoder.tokenizer.save_pretrained(options.out)
print(json.dumps({"before": before, "after": after}))
