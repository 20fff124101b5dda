"""Teach the reader of handwriting printed digits, in Flax: TrainState, optax, a jitted step, checkpoints that resume.

python docs/examples/finetuning/in_flax.py OUT [--checkpoint digit-lines] [--steps 60]

A run that was stopped goes on by the same command, to the same numbers. How the loss fell is drawn in OUT/loss.png.
"""

import json
import shutil

import jax
import optax
import orbax.checkpoint as orbax
from flax.training.train_state import TrainState
from flax.traverse_util import flatten_dict, unflatten_dict
from printed_digits import PARTS, Encoder, arguments, lines, right, state_of, watched

from multimodal import FlaxVisionEncoderDecoderModel
from multimodal.tasks.curves import curve

run = arguments(__doc__)
encoder = Encoder(run.checkpoint)
model, params = FlaxVisionEncoderDecoderModel.from_pretrained(run.checkpoint, _do_init=False)
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


rates = optax.cosine_decay_schedule(4e-4, run.steps + 1)
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
    loss, gradients = jax.value_and_grad(loss_of)(state.params, state.apply_fn, inputs, key)
    return state.apply_gradients(grads=gradients), loss


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
folder = state_of(run)
# An orbax manager keeps arrays and JSON, which run nothing when they are read, and the newest whole one of them.
keeping = orbax.CheckpointManagerOptions(max_to_keep=1, save_interval_steps=max(1, run.steps // PARTS))
losses = []
with orbax.CheckpointManager(folder / "steps", options=keeping) as manager:
    if manager.latest_step() is not None:
        kept = manager.restore(
            manager.latest_step(),
            args=orbax.args.Composite(state=orbax.args.StandardRestore(state), log=orbax.args.JsonRestore()),
        )
        state, losses = kept.state, kept.log["losses"]
    for index in watched(range(len(losses), run.steps), run, len(losses)):
        key = jax.random.fold_in(jax.random.key(0), index)  # what is drawn follows from the number of the step alone
        state, loss = step(state, batch(16, seed=1000 + index)[0], key)
        losses.append(float(loss))
        now = orbax.args.Composite(
            state=orbax.args.StandardSave(state), log=orbax.args.JsonSave({"losses": losses.copy()})
        )
        manager.save(index + 1, args=now)
after = evaluated(state.params)
model.save_pretrained(run.out, params=state.params)
encoder.processor.save_pretrained(run.out)
encoder.tokenizer.save_pretrained(run.out)
curve([{"step": at, "loss": loss} for at, loss in enumerate(losses, 1)], ["loss"], "loss").save(run.out / "loss.png")
shutil.rmtree(folder)
print(json.dumps({"before": before, "after": after, "losses": losses}))
