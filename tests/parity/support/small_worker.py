"""What one backend says of the small family: `python small_worker.py BACKEND CHECKPOINT OUTPUT`."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import small
from safetensors.numpy import load_file, save_file

from multimodal import registry
from multimodal.checkpoints.convert import convert
from multimodal.parity.run import harness_of, run


def main(backend, checkpoint, output):
    """Writes `outputs.safetensors`, `facts.json` and the folders `saved` and `fresh` into `output`."""
    module = importlib.import_module(f"small_{backend}")
    sys.modules[f"multimodal.{backend}.models.small"] = module
    given = load_file(checkpoint / "inputs.safetensors")
    inputs = {"pixel_values": given.pop("pixel_values")}
    outputs = {}

    def note(prefix, dtype="float64", **options):
        found = run(checkpoint, backend, inputs, dtype=dtype, **options)
        outputs.update({f"{prefix}.{name}": np.array(array, order="C") for name, array in found.items()})

    note("eval", gradients=True, cotangents=given)
    note("train", gradients=True, cotangents=given, train=True)
    note("steps", train=True, steps=2, optimizer={"name": "sgd", "learning_rate": 0.05}, cotangents=given)
    note("untrained", steps=2, optimizer="sgd", cotangents=given)
    for dtype in ("float32", "bfloat16", "float16"):
        note(f"{dtype}.train", dtype, train=True)
        note(f"{dtype}.eval", dtype)
    save_file(
        {k: v.astype(np.float64) if v.dtype.kind != "i" else v for k, v in outputs.items()},
        output / "outputs.safetensors",
    )
    model_class = registry.model_class(backend, "SmallModel")
    model_class.from_pretrained(checkpoint).save_pretrained(output / "saved")
    model_class.from_pretrained(checkpoint, **harness_of(backend).dtype_options("bfloat16")).save_pretrained(
        output / "half"
    )
    model_class(small.SmallConfig(), seed=4).save_pretrained(output / "fresh")
    facts = FACTS[backend](model_class.from_pretrained(checkpoint), inputs["pixel_values"].astype(np.float32))
    facts["single"] = refused(SINGLE[backend])
    facts["count"] = model_class(small.SmallConfig()).num_parameters()
    for format in ("tf-h5", "flax-msgpack"):
        convert(checkpoint, output / format, format)
        model_class.from_pretrained(output / format).save_pretrained(output / f"from {format}")
    (output / "facts.json").write_text(json.dumps(facts))


def in_pt(model, pixels):
    """Buffers stay buffers; what a constructor counts out is there after loading, and after a change."""
    import torch

    model.train()
    before = model.network.norm.mean.clone()
    model(torch.from_numpy(pixels))
    moved = not torch.equal(before, model.network.norm.mean)
    index = model.network.backwards
    model._reshape({"norm.mean": np.ones(9)}, model._sizes())
    state = model.network.state_dict()
    return {
        "moved": moved,
        "buffers": sorted(name for name, _ in model.network.named_buffers()),
        "parameters": sorted(name for name, _ in model.network.named_parameters()),
        "saved": sorted(state),
        "named": sorted(model.named_tensors()),
        "index": model.network.backwards.tolist(),
        "kept": model.network.backwards is index,
        "reshaped": [str(model.network.norm.mean.dtype), list(model.network.norm.mean.shape)],
        "on meta": [name for name, tensor in model.network.named_buffers() if tensor.is_meta],
    }


def in_tf(model, pixels):
    """Statistics are not trained, and follow in a compiled call too."""
    import tensorflow as tf

    before = np.array(model.network.norm.moving_mean)
    called = tf.function(lambda x, training: model(x, training=training), jit_compile=True)
    called(pixels, False)
    still = np.array_equal(before, model.network.norm.moving_mean)
    compiled = np.asarray(called(pixels, True)["pooler_output"])
    np.testing.assert_allclose(compiled, np.asarray(model(pixels, training=True)["pooler_output"]), rtol=1e-5)
    trained = {id(variable) for variable in model.trainable_variables}
    named = model.named_tensors()
    return {
        "moved": not np.array_equal(before, model.network.norm.moving_mean),
        "still": still,
        "parameters": sorted(name for name, variable in named.items() if id(variable) in trained),
        "named": sorted(named),
    }


def in_flax(model, pixels):
    """`params` holds both collections; a call in training gives the new state, and changes none by itself."""
    import jax
    from flax.core import freeze

    from multimodal.flax import weights

    params = model.params
    output, state = jax.jit(lambda p: model(pixels, params=p, train=True))(params)
    values, same_state = model(pixels, train=True, return_dict=False)
    own = weights.named_tensors(params)

    def loss(trained):
        output, state = model(pixels, params={**params, "params": trained}, train=True)
        return output.pooler_output.sum(), state

    gradients, aside = jax.grad(loss, has_aux=True)(params["params"])
    kept = {name: np.asarray(array) for name, array in model.named_tensors().items()}
    plain = model(pixels, params=params["params"]).pooler_output  # the state is the model's own then
    narrow = model.to_bf16(params)
    wrapped = model(pixels, params=freeze(params)).pooler_output
    model.params = {**model.params, **state}
    return {
        "collections": sorted(params),
        "parameters": sorted(weights.named_tensors(params["params"])),
        "named": sorted(own),
        "state": sorted(state),
        "kept": all(np.array_equal(kept[name], own[name]) for name in own),
        "moved": not np.array_equal(own["norm.mean"], model.named_tensors()["norm.mean"]),
        "tuple": isinstance(values, tuple) and sorted(same_state) == ["batch_stats"],
        "gradients": sorted(weights.named_tensors(gradients)),
        "aside": sorted(aside),
        "output": type(output).__name__,
        "halves": halves(params),
        "own state": bool(np.array_equal(plain, wrapped)),
        "types": sorted(
            {f"{name.split('.')[-1]} {array.dtype}" for name, array in weights.named_tensors(narrow).items()}
        ),
    }


def halves(params):
    """Whether a half of a composite's tree is what was put there, and the other half stays, with state and without."""
    from multimodal.flax.weights import part, with_part

    plain = {"dense": {"weight": 1}}
    both = with_part(with_part({}, "encoder", params), "decoder", plain)
    back = with_part(both, "encoder", plain)
    return [
        part(both, "encoder") == params,
        part(both, "decoder") == plain,
        sorted(both) == ["batch_stats", "params"],
        back == {"encoder": plain, "decoder": plain},
        with_part(back, "encoder", params) == both,
    ]


def single_in_pt(options):
    import torch

    from multimodal.pt.layers.basic import BatchNorm

    BatchNorm(3, **options)(torch.zeros(1, 3))


def single_in_tf(options):
    import tensorflow as tf

    from multimodal.tf.layers.basic import BatchNorm

    BatchNorm(3, **options)(tf.zeros((1, 3)), training=True)


def single_in_flax(options):
    import jax

    from multimodal.flax.layers.basic import BatchNorm

    BatchNorm(3, **options).init(jax.random.key(0), jax.numpy.zeros((1, 3)), train=True)


SINGLE = {"pt": single_in_pt, "tf": single_in_tf, "flax": single_in_flax}


def refused(call):
    """What a normalisation says of a batch that has one value of each channel, whose variance is not estimated."""
    try:
        call({"momentum": 0.9, "epsilon": 1e-3})
    except ValueError as error:
        return str(error)


FACTS = {"pt": in_pt, "tf": in_tf, "flax": in_flax}

if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
