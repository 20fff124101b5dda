"""Calls of `generate`."""

from __future__ import annotations

from typing import Any

from multimodal import registry
from multimodal.specs.base import Specification

OPTIONS = {
    "by default": "",
    "greedy": "max_length=10",
    "new tokens": "max_new_tokens=4",
    "at least": "max_length=12, min_length=9",
    "beams": "num_beams=3, max_length=10",
    "several of the beams": "num_beams=3, num_return_sequences=2, max_length=10",
    "beams, short ones": "num_beams=3, length_penalty=-1.0, max_length=12",
    "beams, early": "num_beams=2, early_stopping=True, max_length=12",
    "beams, never early": "num_beams=2, early_stopping='never', max_length=12",
    "no repetition of two": "no_repeat_ngram_size=2, max_length=14",
    "penalty": "repetition_penalty=1.5, max_length=14",
    "penalty with beams": "repetition_penalty=1.5, num_beams=2, no_repeat_ngram_size=2, max_length=12",
    "several ends": "eos_token_id=[2, 7, 11, 13, 50], pad_token_id=0, max_length=14",
    "no end": "eos_token_id=None, max_length=10",
    "forced end": "forced_eos_token_id=2, max_length=8",
    "a whole answer": "max_length=10, return_dict_in_generate=True",
    "a whole answer of beams": "max_length=10, num_beams=2, return_dict_in_generate=True",
    "without a cache": "max_length=10, use_cache=False",
    "a generation config": "generation_config=library.GenerationConfig(max_length=7, pad_token_id=0, eos_token_id=2, "
    "bos_token_id=1, decoder_start_token_id=1)",
    "length 0": "max_length=0",
    "more sequences than beams": "num_return_sequences=3, max_length=8",
    "no beams": "num_beams=0, max_length=8",
    "unknown option": "max_length=8, nonsense=3",
    "sampled with top 1": "do_sample=True, top_k=1, max_length=8",
}  # fmt: skip
FEW = (
    "greedy", "new tokens", "at least", "beams", "no repetition of two", "several ends", "a whole answer", "length 0",
    "more sequences than beams", "unknown option",
)  # fmt: skip
"""Those that are asked of a framework that compiles each of them."""


def generation_codes(spec: Specification, config: Any, framework: str, first: bool) -> dict[str, str]:
    """{name: code} of what a generative class is asked."""
    if not registry.is_generative(spec.name):
        return {"generation": "model.generate(**inputs, max_length=8)", "can_generate": "model.can_generate()"}
    if framework != "pt" and not first:
        return {}
    chosen = {name: OPTIONS[name] for name in (OPTIONS if framework == "pt" else FEW)}
    sequences = {"flax": ".sequences"}.get(framework, "")
    if config.halves:
        prompt = "inputs['pixel_values']"
        more = {"a prompt": "model.generate(inputs['pixel_values'], decoder_input_ids=inputs['decoder_input_ids'][:, :3], "
                f"max_length=8){sequences}",
                "a prompt that starts": "d = np.array(inputs['decoder_input_ids'][:, :3])\nd[:, 0] = START\n"
                f"model.generate(inputs['pixel_values'], decoder_input_ids=tensor(d), max_length=8){sequences}"
                .replace("START", str(config.decoder_start_token_id))}  # fmt: skip
    else:
        rest = ", **{k: v for k, v in inputs.items() if k != 'input_ids'}"
        prompt = "inputs['input_ids'][:, :4]" + rest
        mask = "tensor(np.array([[0, 1, 1, 1], [1, 1, 1, 1]]))"
        more = {
            "padded from the left": f"model.generate({prompt}, attention_mask={mask}, max_length=10, pad_token_id=0){sequences}",
            "a prompt that is too long": f"model.generate({prompt}, max_length=3){sequences}",
            "one prompt": f"model.generate({prompt.replace(':, :4', ':1, :2')}, max_length=8){sequences}"
            if not config.add_cross_attention
            else f"model.generate(inputs['input_ids'][:1, :2], encoder_hidden_states=inputs['encoder_hidden_states'][:1], "
            f"max_length=8){sequences}",
        }  # fmt: skip
        if framework == "flax" and config.add_cross_attention:
            return {}
    codes = {}
    for name, options in chosen.items():
        whole = "whole" in name or not sequences
        codes[name] = f"model.generate({prompt}, {options}){'' if whole else sequences}"
    codes["can_generate"] = "model.can_generate()"
    if framework == "pt":
        codes["a field of the configuration"] = (
            "m = load()\nm.config.max_length = 7\nm.generate(" + prompt + ")" + sequences
        )
    codes["a saved generation config"] = "model.save_pretrained(out)\nos.path.exists(out + '/generation_config.json')"
    return codes | more
