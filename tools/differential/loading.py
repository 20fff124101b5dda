"""Calls that load, save and change models, and that ask what they are."""

from __future__ import annotations

from typing import Any

from differential import composites

from multimodal import registry
from multimodal.specs.base import Specification

EVERYWHERE = {
    "name of the output": "type(model(**inputs)).__name__.removeprefix('TF').removeprefix('Flax')",
    "type of the configuration": "type(model.config).__name__",
    "class of the configuration": "cls.config_class.__name__",
    "base_model_prefix": "model.base_model_prefix",
    "main_input_name": "model.main_input_name",
    "framework": "model.framework",
    "name_or_path": "model.name_or_path == folder",
    "name_or_path of the configuration": "model.config.name_or_path == folder",
    "configuration in full": "c = model.config.to_dict()\n{k: c.get(k, 'absent') for k in OWN}",
    "labels": "[model.config.num_labels, model.config.id2label, model.config.label2id]",
    "generation config": "type(model.generation_config).__name__ if model.can_generate() else None",
    "files saved": "model.save_pretrained(out)\nsorted(os.listdir(out))",
    "configuration saved": "model.save_pretrained(out)\nc = json.load(open(out + '/config.json'))\n"
    "{k: c.get(k, 'absent') for k in OWN}",
    "saved and loaded": "model.save_pretrained(out)\nload(out)(**inputs)",
    "saved in shards": "model.save_pretrained(out, max_shard_size='8KB')\n[any('index' in f for f in os.listdir(out)), load(out)(**inputs)[0]]",
    "saved over a file": "open(out + '/file', 'w').close()\nmodel.save_pretrained(out + '/file')",
    "loaded with its configuration": "load(config=library.AutoConfig.from_pretrained(folder))(**inputs)",
    "loaded from nowhere": "load(out + '/nothing')",
    "loaded from an empty folder": "load(out)",
    "loaded with an unknown keyword": "load(nonsense=1)",
    "loaded with num_labels": "[load(num_labels=2).config.num_labels, load(num_labels=2).config.id2label]",
    "with other labels": "load(id2label={0: 'a', 1: 'b'}, label2id={'a': 0, 'b': 1}).config.id2label",
    "made of a configuration": "shapes(cls(library.AutoConfig.from_pretrained(folder))(**inputs))",
    "made of nothing": "cls()",
    "made of a name": "cls('bert')",
    "wrong configuration": "load(config=library.BertConfig() if 'Bert' not in cls.__name__ else library.GPT2Config())",
    "loaded elsewhere cut short": "import shutil\nshutil.copytree(folder, out, dirs_exist_ok=True)\n"
    "[open(os.path.join(out, f), 'r+b').truncate(50) for f in os.listdir(out) if not f.endswith('.json')]\nload(out)",
    "loaded without a configuration": "import shutil\nshutil.copytree(folder, out, dirs_exist_ok=True)\nos.remove(out + '/config.json')\nload(out)",
}  # fmt: skip
NOT_FLAX = {
    "num_parameters": "model.num_parameters()",
    "parameters that are trained": "model.num_parameters(only_trainable=True)",
    "loading_info": "load(output_loading_info=True)[1]",
    "dummy_inputs": "{k: shapes(v) for k, v in model.dummy_inputs.items()}",
    "dummy call": "shapes(model(**model.dummy_inputs)[0])",
}
OWN = {
    "pt": {
        **NOT_FLAX,
        "parameters without embeddings": "model.num_parameters(exclude_embeddings=True)",
        "trained parameters without embeddings": "model.num_parameters(only_trainable=True, exclude_embeddings=True)",
        "frozen parameters": "m = load()\nnext(m.parameters()).requires_grad_(False)\n"
        "m.num_parameters() - m.num_parameters(only_trainable=True) > 0",
        "memory": "model.get_memory_footprint(return_buffers=False)",
        "dtype": "[str(model.dtype), str(load(torch_dtype=torch.float16).dtype), str(load(torch_dtype='auto').dtype)]",
        "device": "str(model.device)",
        "input embeddings": "model.get_input_embeddings().weight if hasattr(model.get_input_embeddings(), 'weight') else None",
        "kind of the input embeddings": "type(model.get_input_embeddings()).__name__",
        "output embeddings": "e = model.get_output_embeddings()\n[None if e is None else [e.weight, e.bias]]",
        "kind of the output embeddings": "type(model.get_output_embeddings()).__name__",
        "base_model": "[type(model.base_model).__name__, model.base_model is model]",
        "tied": "e = model.get_output_embeddings()\n[e is not None and e.weight is model.get_input_embeddings().weight]",
        "given a state_dict": "load(None, config=model.config, state_dict=load().state_dict())(**inputs)",
        "a state_dict loaded": "str(load().load_state_dict(load().state_dict()))",
        "files of torch": "model.save_pretrained(out, safe_serialization=False)\n[sorted(os.listdir(out)), load(out)(**inputs)[0]]",
        "attention by name": "load(attn_implementation='eager')(**inputs)",
        "unknown attention": "load(attn_implementation='nonsense')",
        "copied": "import copy\ncopy.deepcopy(model)(**inputs)",
        "pickled": "import pickle\npickle.loads(pickle.dumps(model))(**inputs)",
        "gradient checkpointing": "m = load().train()\nm.gradient_checkpointing_enable()\nm(**inputs)[0]",
        "is checkpointing": "m = load()\nm.gradient_checkpointing_enable()\na = m.is_gradient_checkpointing\n"
        "m.gradient_checkpointing_disable()\n[a, m.is_gradient_checkpointing]",
        "configuration shared": "m = load()\nm.config.output_hidden_states = True\nm(**inputs)",
        "strict shapes": "load(hidden_size=24)(**inputs)",
        "fewer layers": "load(num_hidden_layers=1)(**inputs)",
        "low_cpu_mem_usage": "load(low_cpu_mem_usage=False)(**inputs)",
    },
    "tf": {
        **NOT_FLAX,
        "weights saved by Keras": "model.save_weights(out + '/a.weights.h5')\nm = load()\nm.load_weights(out + '/a.weights.h5')\nm(**inputs)",
        "input embeddings": "model.get_input_embeddings() is None",
        "output embeddings": "model.get_output_embeddings() is None",
        "trained weights": "sum(int(np.prod(w.shape)) for w in model.trainable_weights)",
        "copied": "import copy\ncopy.deepcopy(model)(**inputs)",
        "made of its configuration": "shapes(cls.from_config(model.config)(**inputs))",
    },
    "flax": {
        "kind of the parameters": "sorted({str(a.dtype) for a in jax.tree_util.tree_leaves(model.params)})",
        "number of values": "sum(a.size for a in jax.tree_util.tree_leaves(model.params))",
        "without parameters": "m, p = load(_do_init=False)\nm(**inputs, params=p)",
        "parameters of a model without": "m, p = load(_do_init=False)\nm.params",
        "saved with parameters": "model.save_pretrained(out, params=model.params)\nload(out)(**inputs)",
        "to_bf16": "sorted({str(a.dtype) for a in jax.tree_util.tree_leaves(model.to_bf16(model.params))})",
        "to_fp16 and back": "model(**inputs, params=model.to_fp32(model.to_fp16(model.params)))",
        "checkpointed": "m = load()\nm.enable_gradient_checkpointing()\nm(**inputs)",
        "input embeddings": "model.get_input_embeddings() is None",
    },
}  # fmt: skip
TEXT = {
    "more tokens": "m = load()\nm.resize_token_embeddings(105)\n[shapes(m(**inputs)), vocabulary(m)]",
    "fewer tokens": "m = load()\nm.resize_token_embeddings(98)\nm(**{k: np.minimum(np.asarray(v), 97) if 'ids' in k else v for k, v in inputs.items()})"
    .replace("np.minimum(np.asarray(v), 97)", "tensor(np.minimum(np.asarray(v), 97))"),
    "as many tokens": "m = load()\nm.resize_token_embeddings(99)\nm(**inputs)",
    "tokens of no number": "m = load()\nm.resize_token_embeddings()\nvocabulary(m)",
    "tokens by eights": "m = load()\nm.resize_token_embeddings(99, pad_to_multiple_of=8)\nvocabulary(m)",
    "-1 tokens": "load().resize_token_embeddings(-1)",
    "type of resizing": "type(load().resize_token_embeddings(101)).__name__",
    "more tokens saved": "m = load()\nm.resize_token_embeddings(105)\nm.save_pretrained(out)\nvocabulary(load(out))",
}  # fmt: skip
PRUNED = {
    "pruned": "m = load()\nm.prune_heads({0: [1], 1: [0, 2]})\nm(**inputs)",
    "pruned twice": "m = load()\nm.prune_heads({0: [1]})\nm.prune_heads({0: [2]})\n[m(**inputs)[0], m.config.pruned_heads]",
    "pruned, parameters": "m = load()\nm.prune_heads({1: [3]})\nm.num_parameters()",
    "pruned, saved, loaded": "m = load()\nm.prune_heads({0: [1]})\nm.save_pretrained(out)\n[load(out)(**inputs)[0], load(out).config.pruned_heads]",
    "pruned beyond": "m = load()\nm.prune_heads({0: [9]})\nm(**inputs)[0]",
    "pruned in a layer beyond": "m = load()\nm.prune_heads({5: [0]})\nm(**inputs)[0]",
    "pruned, attentions": "m = load()\nm.prune_heads({0: [1]})\nshapes(m(**inputs, output_attentions=True))",
}  # fmt: skip


def loading_codes(spec: Specification, config: Any, framework: str) -> dict[str, str]:
    """{name: code} of one class in one framework."""
    own = str(composites.config_fields(type(config)))
    common = {name: code.replace("OWN", own) for name, code in EVERYWHERE.items()}
    codes = {**common, **OWN[framework], **auto_codes(spec)}
    if spec.name.startswith(("ViT", "DeiT", "Swin")):
        codes |= {
            "with a mask token": "shapes(load(use_mask_token=True)(**inputs, bool_masked_pos=tensor(np.eye(16)[:2] > 0)))"
        }
        codes |= {"without the pooler": "load(add_pooling_layer=False)(**inputs)"}
    elif framework != "flax" and "input_ids" in spec.names():
        codes |= TEXT
    if framework == "pt" and not composites.is_of_any(spec.model_type):
        codes |= PRUNED
    if spec.name.endswith("Classification") and framework == "pt":
        codes["another number of labels"] = "load(num_labels=5)"
        codes["another number of labels, drawn"] = "shapes(load(num_labels=5, ignore_mismatched_sizes=True)(**inputs))"
        codes["what did not match"] = "load(num_labels=5, ignore_mismatched_sizes=True, output_loading_info=True)[1]"
    if spec.model_type == "lxmert" and framework == "pt":
        codes |= LXMERT
    codes |= composites.loading_codes(spec, config, framework)
    if framework != "pt" and spec.name not in ONE_OF_A_KIND:
        return {name: code for name, code in codes.items() if name in OF_EVERY_CLASS}
    return codes


ONE_OF_A_KIND = ("BertModel", "LxmertForPreTraining", "ViTModel", "VisionEncoderDecoderModel")
"""Classes that are asked everything where loading takes long: one for each way in which models are built."""
OF_EVERY_CLASS = (
    "name of the output", "class of the configuration", "files saved", "configuration saved", "saved and loaded",
    "num_parameters", "number of values", "more tokens", "as many tokens", "by AutoModel", "made of a configuration",
    "without parameters",
)  # fmt: skip


LXMERT = {
    "other answers": "load(num_qa_labels=3)(**inputs)",
    "answers resized": "m = load()\nm.resize_num_qa_labels(12)\nshapes(m(**inputs).question_answering_score)",
    "fewer answers": "m = load()\nm.resize_num_qa_labels(5)\nm(**inputs).question_answering_score",
    "layer of the answers": "model.get_qa_logit_layer().weight",
}


def auto_codes(spec: Specification) -> dict[str, str]:
    """The class by each Auto class."""
    name = "type({}).__name__.removeprefix('TF').removeprefix('Flax')"
    return {
        f"by {auto}": name.format(f"auto('{auto}').from_pretrained(folder)") for auto in registry.MODEL_AUTO
    }  # fmt: skip
