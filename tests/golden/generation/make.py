"""What the reference says of modes of generation that draw nothing, and of its rules on scores.

    python tests/golden/generation/make.py [folder]

runs in the reference's own environment (transformers 4.40.2, PyTorch). `modes.safetensors`: for two small models, whose
tensors are drawn by their names, tokens, scores and beams of each mode in float64. `rules.safetensors`: what each rule
makes of random scores. `tests/parity/test_golden_generation.py` and `tests/generation/test_golden_rules.py` compare.
"""

import copy
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent
spec = importlib.util.spec_from_file_location("byname", HERE.parent / "byname.py")
byname = importlib.util.module_from_spec(spec)
spec.loader.exec_module(byname)
SEED, VOCABULARY = 11, 61
GPT2 = {"vocab_size": VOCABULARY, "n_positions": 40, "n_embd": 24, "n_layer": 2, "n_head": 3, "initializer_range": 0.3}
SMALL = {**GPT2, "n_embd": 12, "n_layer": 1}
MODES = {
    "greedy": {}, "beams": {"num_beams": 3, "num_return_sequences": 3},
    "early": {"num_beams": 3, "early_stopping": True}, "never": {"num_beams": 3, "early_stopping": "never"},
    "groups": {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 0.7, "num_return_sequences": 4},
    "three groups": {"num_beams": 6, "num_beam_groups": 3, "diversity_penalty": 3.0, "num_return_sequences": 4,
                     "length_penalty": 0.4},
    "contrastive": {"penalty_alpha": 0.6, "top_k": 4}, "contrastive, less": {"penalty_alpha": 0.2, "top_k": 3},
    "repetition": {"repetition_penalty": 1.7}, "prompt": {"encoder_repetition_penalty": 2.5},
    "n-grams": {"no_repeat_ngram_size": 2}, "n-grams of the prompt": {"encoder_no_repeat_ngram_size": 1},
    "bad words": {"bad_words_ids": "LIKELY"}, "bias": {"sequence_bias": "LIKELY"},
    "suppressed": {"suppress_tokens": "LIKELY"}, "suppressed at first": {"begin_suppress_tokens": "LIKELY"},
    "at least": {"min_new_tokens": 9}, "at least in all": {"min_length": 12}, "forced end": {"forced_eos_token_id": 7},
    "decay": {"exponential_decay_length_penalty": (2, 1.6)}, "renormalized": {"num_beams": 3, "repetition_penalty": 1.4,
                                                                            "renormalize_logits": True},
    "rules and beams": {"num_beams": 3, "no_repeat_ngram_size": 2, "min_new_tokens": 6, "num_return_sequences": 2,
                        "suppress_tokens": [5, 8]},
    "rules and groups": {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 1.0, "repetition_penalty": 1.3,
                         "no_repeat_ngram_size": 2, "num_return_sequences": 4},
}  # fmt: skip
OF_TEXT = ("prompt", "n-grams of the prompt")


def filled(model):
    """The model with every tensor drawn by its name."""
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            tensor.copy_(torch.from_numpy(byname.parameter(SEED, name, tuple(tensor.shape))) * (2 if tensor.ndim > 1 else 1))
    return model.eval()


def typed(of, dtype):
    """A model or inputs with floats of one type."""
    if isinstance(of, dict):
        return {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in of.items()}
    return of if dtype == torch.float64 else copy.deepcopy(of).to(dtype)  # and back it would have lost digits


def asked(model, modes, inputs, prompt_length, **common):
    """({name of a result: array}, {mode: settings})."""
    free = model.generate(**inputs, forced_eos_token_id=None, eos_token_id=VOCABULARY - 1, **common)
    tokens = free[0, prompt_length:].tolist()
    end = next((t for t in tokens[3:] if t not in tokens[:3]), 3)
    common["eos_token_id"] = end
    likely = [t for t in dict.fromkeys([*tokens, 9, 10]) if t != end][:3]
    named = {"bad_words_ids": [[likely[0]], likely[1:3]], "suppress_tokens": likely[:2], "begin_suppress_tokens": likely[:1],
             "sequence_bias": {(likely[0],): -2.5, tuple(tokens[1:3]): 1.5}}  # fmt: skip
    arrays, settings = {}, {}
    for mode, chosen in modes.items():
        chosen = {name: named[name] if value == "LIKELY" else value for name, value in chosen.items()}
        # its groups of beams fail in float64
        dtype = torch.float32 if "num_beam_groups" in chosen else torch.float64
        answer = typed(model, dtype).generate(**typed(inputs, dtype), **common, **chosen, return_dict_in_generate=True, output_scores=True,
                                output_logits=True, output_attentions=True, output_hidden_states=True)  # fmt: skip
        arrays[f"{mode}.sequences"] = answer.sequences.numpy()
        for name in ("sequences_scores", "beam_indices"):
            if answer.get(name) is not None:
                arrays[f"{mode}.{name}"] = answer[name].numpy()
        for name in ("scores", "logits"):
            if answer.get(name) is not None:
                arrays[f"{mode}.{name}"] = np.stack([a.numpy() for a in answer[name]][-2:])  # the last two steps are enough
        for name in ("attentions", "hidden_states", "decoder_attentions", "decoder_hidden_states", "cross_attentions"):
            if answer.get(name) is not None:
                arrays[f"{mode}.{name}"] = np.array([[float(x.norm()) for x in step] for step in answer[name]])
        if "sequence_bias" in chosen:
            chosen["sequence_bias"] = [[list(k), v] for k, v in chosen["sequence_bias"].items()]
        settings[mode] = {**common, **chosen}
    return arrays, settings


def text():
    model = filled(transformers.GPT2LMHeadModel(transformers.GPT2Config(**GPT2)))
    small = filled(transformers.GPT2LMHeadModel(transformers.GPT2Config(**SMALL)))
    ids = torch.from_numpy(byname.integers(SEED, "prompt", (2, 4), 2, VOCABULARY - 1))
    arrays, settings = asked(model, MODES, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, 4, max_length=18,
                             pad_token_id=0)  # fmt: skip
    one = {"input_ids": ids[:1], "attention_mask": torch.ones_like(ids[:1])}
    found = model.generate(**one, assistant_model=small, max_length=24, pad_token_id=0, eos_token_id=None)
    arrays |= {"assisted.sequences": found.numpy(), "in.input_ids": ids.numpy()}
    return arrays, {"cls": "GPT2LMHeadModel", "config": GPT2, "small": SMALL, "seed": SEED, "modes": settings,
                    "assisted": {"max_length": 24, "pad_token_id": 0}}  # fmt: skip


def images():
    with safe_open(HERE.parent / "cases" / "ved-vit-gpt2.safetensors", "np") as file:
        meta, pixels = json.loads(file.metadata()["case"]), file.get_tensor("in.pixel_values")
    config = transformers.VisionEncoderDecoderConfig.from_dict(copy.deepcopy(meta["config"]))  # which takes it apart
    model = transformers.VisionEncoderDecoderModel(config).double()
    global VOCABULARY
    VOCABULARY = config.decoder.vocab_size
    model = filled(model)
    modes = {name: value for name, value in MODES.items() if name not in OF_TEXT}
    inputs = {"pixel_values": torch.from_numpy(pixels)}
    arrays, settings = asked(model, modes, inputs, 1, max_length=14, pad_token_id=0, decoder_start_token_id=1)
    return {**arrays, "in.pixel_values": pixels}, {
        "cls": meta["cls"], "config": meta["config"], "seed": SEED, "modes": settings
    }  # fmt: skip


RULES = {
    "temperature": ("TemperatureLogitsWarper", {"temperature": 0.6}, {"temperature": 0.6}),
    "top_k": ("TopKLogitsWarper", {"top_k": 5}, {"top_k": 5}),
    "top_p": ("TopPLogitsWarper", {"top_p": 0.7}, {"top_p": 0.7}),
    "top_p, little": ("TopPLogitsWarper", {"top_p": 0.05}, {"top_p": 0.05}),
    "typical_p": ("TypicalLogitsWarper", {"mass": 0.6}, {"typical_p": 0.6}),
    "epsilon_cutoff": ("EpsilonLogitsWarper", {"epsilon": 0.03}, {"epsilon_cutoff": 0.03}),
    "eta_cutoff": ("EtaLogitsWarper", {"epsilon": 0.04}, {"eta_cutoff": 0.04}),
    "repetition_penalty": ("RepetitionPenaltyLogitsProcessor", {"penalty": 1.8}, {"repetition_penalty": 1.8}),
    "no_repeat_ngram_size": ("NoRepeatNGramLogitsProcessor", {"ngram_size": 2}, {"no_repeat_ngram_size": 2}),
    "suppress_tokens": ("SuppressTokensLogitsProcessor", {"suppress_tokens": [3, 4]}, {"suppress_tokens": [3, 4]}),
    "bad_words_ids": ("NoBadWordsLogitsProcessor", {"bad_words_ids": [[3], [1, 2], [4, 1, 5]], "eos_token_id": 6},
                      {"bad_words_ids": [[3], [1, 2], [4, 1, 5]], "eos_token_id": 6}),
    "sequence_bias": ("SequenceBiasLogitsProcessor", {"sequence_bias": {(3,): 1.5, (1, 2): -2.0, (4, 1, 2): 0.5}},
                      {"sequence_bias": [[[3], 1.5], [[1, 2], -2.0], [[4, 1, 2], 0.5]]}),
}  # fmt: skip


def rules():
    scores = byname.uniform(SEED, "scores", (4, 40)) * 4
    tokens = byname.integers(SEED, "tokens", (4, 9), 0, 8)
    tokens[0, -2:], tokens[1, -2:], tokens[1, :2] = [4, 1], [4, 1], [1, 2]
    arrays, settings = {"in.scores": scores, "in.tokens": tokens}, {}
    for name, (cls, options, ours) in RULES.items():
        rule = getattr(transformers, cls)(**options)
        arrays[name] = rule(torch.from_numpy(tokens), torch.from_numpy(scores.copy())).numpy()
        settings[name] = ours
    return arrays, settings


def main(folder):
    torch.set_default_dtype(torch.float64)
    for name, made in (("text", text), ("images", images), ("rules", rules)):
        arrays, meta = made()
        arrays = {key: np.ascontiguousarray(value) for key, value in arrays.items()}
        save_file(arrays, folder / f"{name}.safetensors", {"case": json.dumps(meta)})
        print(name, len(arrays), "arrays")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
