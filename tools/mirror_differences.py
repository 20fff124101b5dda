"""Where the backends may differ from PyTorch's tree, and why. `tools/check_mirror.py` allows nothing else.

{(files, what is missing there (-) or there in addition (+)): reason}, with the wildcards of `fnmatch`.
"""

from __future__ import annotations

COMPILED = "torch generates in a plain loop; these are functions of arrays alone, which become one program"
KERAS = "what Keras asks of a model or layer"
LINEN = "a linen module holds no parameters and no modes: the public class does"

DIFFERENCES: dict[tuple[str, str], str] = {
    # Elementary layers
    ("tf/layers/activations.py", "+ gelu*"): "TensorFlow's own rounds its constants to float32",
    ("tf/layers/basic.py", "+ Layer*"): "Keras' own way into a layer refuses caches that mix tensors and numbers",
    ("tf/layers/basic.py", "+ *_seed(*)"): "tf.recompute_grad does not restore random numbers; torch and JAX do",
    ("tf/layers/encoder.py", "+ recomputed(*)"): "tf.recompute_grad takes and gives flat lists of tensors",
    ("tf/layers/basic.py", "+ sizes(x)"): "only TensorFlow traces programs whose sizes are open",
    **{
        ("tf/layers/resampling.py", f"+ {name}(*)"): "only TensorFlow traces programs whose sizes are open"
        for name in ("are_known", "centres")
    },
    ("tf/layers/relative.py", "+ distances_between(*)"): "only TensorFlow traces programs whose sizes are open",
    ("tf/models/swin.py", "+ fitted(*)"): "only TensorFlow traces programs whose sizes are open",
    ("tf/models/tvlt.py", "+ counted(of, count, most)"): "only TensorFlow traces programs whose sizes are open",
    ("tf/layers/basic.py", "+ grouped(x, layer)"): "TensorFlow has no gradient of a convolution in groups on a CPU",
    ("flax/layers/basic.py", "+ depthwise(*)"): "XLA has no fast kernel for it on a CPU",
    ("flax/layers/basic.py", "- padded(x, margins)"): "JAX's convolution pads by itself",
    ("*/layers/basic.py", "+ *.call(*)"): "torch's own layers compute what is needed as they are",
    ("*/layers/heads.py", "+ scores(*)"): "torch has nn.functional.linear",
    **{
        (
            "*/layers/basic.py",
            f"- {name}(margins)",
        ): "torch's convolutions add by themselves what is alike on both sides"
        for name in ("even", "uneven")
    },
    ("*/layers/attention.py", "+ filled(cache, count)"): "only XLA copies the cache of a single row in each step",
    (
        "tf/layers/attention.py",
        "+ grows(cache, position)",
    ): "only TensorFlow has another operation where gradients are asked for",
    ("*/layers/encoder.py", "- first_and_again()"): "only torch is told in advance of the second computation",
    # Families
    ("*/models/align.py", "+ channels_first(x)"): "torch's images are channels first inside too",
    ("flax/models/align.py", "+ *._features(*)"): "linen's new state comes beside what a call gives",
    ("tf/models/data2vec_audio.py", "+ *.compile(*)"): KERAS,
    ("flax/models/data2vec_audio.py", "+ without_gradient(tree, path)"): "elsewhere parameters themselves are frozen",
    ("*/models/vision_encoder_decoder.py", "- *.train(mode)"): "only torch modules have a mode",
    ("flax/models/vision_encoder_decoder.py", "? VisionEncoderDecoderModel(*)"): "documented otherwise (seed 003)",
    **{
        ("flax/models/vision_encoder_decoder.py", f"+ *.{name}(*)"): "published in Flax alone"
        for name in ("encode", "decode", "init_cache")
    },
    # Adapters
    ("*/annotations.py", "- Call*"): "Keras' types hide it; in Flax `__call__` is the method itself",
    ("tf/pretrained.py", "+ PretrainedModel.call(*)"): KERAS,
    ("*/products.py", "- the file"): "one library makes products elsewhere",
    ("tf/layers/basic.py", "- Linear.call(x)"): "one library makes products elsewhere",
    ("tf/inputs.py", "+ the file"): KERAS,
    ("tf/saving.py", "+ the file"): KERAS,
    ("tf/training.py", "+ the file"): KERAS,
    ("tf/losses.py", "+ wide(x)"): "Keras' losses are of float32 under every policy, and one that is scaled has to be",
    ("*/pretrained.py", "- *.load_state_dict(*)"): "torch's own idiom",
    ("tf/weights.py", "+ set_paths(network, start)"): "Keras makes paths of the scopes that layers are built in",
    ("tf/pretrained.py", "+ follow(*)"): "Keras' optimisers are of the variables that they were built with",
    ("*/weights.py", "+ replace(*)"): "torch takes a tensor of another shape by assignment",
    ("flax/weights.py", "- sizes(*)"): LINEN,
    ("*/pretrained.py", "- *.device()"): "Keras and JAX place arrays themselves",
    ("*/pretrained.py", "- *.dtype()"): "an attribute there",
    ("*/pretrained.py", "? *.gradient_checkpointing_enable(*)"): "torch.utils.checkpoint has options of its own",
    ("flax/pretrained.py", "? PretrainedModel(*)"): "documented otherwise (seed 003)",
    (
        "tf/pretrained.py",
        "- PretrainedModel.__getattr__(name)",
    ): "torch's modules hide what a property's AttributeError says",
    (
        "flax/pretrained.py",
        "- PretrainedModel.__getattr__(name)",
    ): "torch's modules hide what a property's AttributeError says",
    ("flax/pretrained.py", "+ PretrainedModel.module()"): LINEN,
    ("flax/pretrained.py", "+ PretrainedModel.params()"): LINEN,
    (
        "flax/pretrained.py",
        "+ PretrainedModel.from_pretrained(*)",
    ): "only linen's parameters can be given beside a model",
    ("flax/pretrained.py", "+ PretrainedModel.init_weights(*)"): LINEN,
    ("flax/pretrained.py", "+ PretrainedModel.to_*"): "documented for Flax alone (seed 003)",
    ("flax/pretrained.py", "+ PretrainedModel.trainable_mask()"): "torch's and Keras' parameters say so themselves",
    ("flax/pretrained.py", "+ *.enable_gradient_checkpointing()"): "the name that is published in Flax",
    ("*/weights.py", "- from_numpy(*)"): "the framework takes NumPy arrays of every type",
    ("*/weights.py", "- to_numpy(*)"): "the framework gives NumPy arrays of every type",
    ("*/weights.py", "- WithoutStorage*"): "elsewhere a network is made with its values, or has none",
    **{
        ("flax/weights.py", f"+ {name}(*)"): "linen's collections"
        for name in ("collections", "joined", "part", "with_part")
    },
    ("flax/weights.py", "? fetch(*)"): "the parameters are a tree beside the network",
    ("flax/weights.py", "? load(*)"): "the parameters are a tree beside the network",
    ("flax/weights.py", "? named_tensors(*)"): "the parameters are a tree beside the network",
    ("tf/layers/basic.py", "+ unset(*)"): "Keras fills its variables when they are made",
    ("tf/weights.py", "+ named_layers(*)"): "Keras has no named_modules",
    ("flax/weights.py", "+ our_name(*)"): "the parameters are a tree beside the network",
    ("flax/weights.py", "+ tree_path(*)"): "the parameters are a tree beside the network",
    ("*/warping.py", "+ flipped(keys)"): "torch has the largest few of many scores; XLA sorts all of them",
    ("flax/harness.py", "- native(*)"): "JAX takes NumPy arrays",
    ("*/harness.py", "- Rounding*"): "the truth is PyTorch's float64",
    **{
        ("*/generation.py", f"+ {name}*"): COMPILED
        for name in ("State(", "advance(", "append(", "begin(", "capacity(", "go_on(", "noise_of(")
    },
    ("*/generation.py", "- chosen(*)"): COMPILED,
    ("*/generation.py", "+ readied(*)"): "torch takes no arrays of NumPy",
    ("*/generation.py", "+ encode(*)"): COMPILED,
    ("tf/generation.py", "+ with_contexts(*)"): "JAX's programs do not copy what goes through them",
    ("flax/generation.py", "+ CacheMixin*"): "published in Flax alone",
    ("tf/generation.py", "+ compiled(*)"): "jax.jit remembers programs by itself",
    ("flax/generation.py", "? Prompted(*)"): "the parameters are a tree beside the network",
    ("flax/generation.py", "+ is_traced(*)"): "only in JAX can a whole generation be a part of another program",
}
