"""Everyday calls of tokenizers, as data: what `everyday.json` holds the published answers to.

    python everyday.py          # in an environment with transformers==4.40.2 and tokenizers==0.19.1

writes `everyday.json`: {case: {class: answer}}. A class that refused the call is left out.
"""

import json
import os
import pathlib
import warnings

HERE = pathlib.Path(__file__).resolve().parent
CLASSES = [a + b for a in ("BertTokenizer", "LxmertTokenizer", "GPT2Tokenizer", "RobertaTokenizer") for b in ("", "Fast")]
LONG = "Who was Jim Henson? Jim Henson was a nice puppet"
CHAT = [{"role": "user", "content": "a cat"}, {"role": "assistant", "content": "two dogs"}]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}\n{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
ADDED = [["add_tokens", [["<x>", "<y>"]]], ["add_special_tokens", [{"additional_special_tokens": ["<s1>"]}]]]
OVER = {"truncation": True, "max_length": 7, "stride": 2, "return_overflowing_tokens": True}
CUT = {"num_tokens_to_remove": 2, "stride": 1}


def case(method, *args, setup=(), **kwargs):
    return {"setup": list(setup), "method": method, "args": list(args), "kwargs": kwargs}


CASES = {
    "mixed": case("__call__", ["a dog", ["the", "cat"]]),
    "mixed, padded": case("__call__", [["the", "cat"], "a dog", "a"], padding=True),
    "mixed, cut": case(
        "__call__", ["a dog was a nice puppet dog", ["the cat was a nice puppet", "cat was a nice"]],
        padding=True, truncation=True, max_length=7,
    ),
    "mixed words": case("__call__", [["a", "dog"], [["cat"], ["dog", "dog"]]], is_split_into_words=True),
    "words": case("__call__", ["a", "cat"], is_split_into_words=True),
    "ids prepared": case("prepare_for_model", [5, 6, 7, 8]),
    "pair prepared": case("prepare_for_model", [5, 6, 7, 8, 9, 10], [11, 12, 13], truncation=True, max_length=8),
    "prepared, padded": case(
        "prepare_for_model", [5, 6], padding="max_length", max_length=8, return_length=True,
    ),
    "prepared, mask": case("prepare_for_model", [5, 6], [7], return_special_tokens_mask=True),
    "prepared, overflow": case(
        "prepare_for_model", [5, 6, 7, 8, 9, 10], truncation=True, max_length=5, stride=1, return_overflowing_tokens=True
    ),
    "prepared, overflow of the first": case(
        "prepare_for_model", [5, 6, 7, 8, 9, 10], [11, 12, 13], truncation="only_first", max_length=8, stride=1,
        return_overflowing_tokens=True,
    ),
    "prepared bare": case("prepare_for_model", [5, 6, 7], [8], add_special_tokens=False, return_length=True),
    "prepared, length alone": case("prepare_for_model", [5, 6, 7], max_length=4),
    "cut": case("truncate_sequences", [1, 2, 3, 4, 5, 6], num_tokens_to_remove=2),
    "cut pair": case("truncate_sequences", [1, 2, 3, 4, 5, 6], [7, 8, 9], num_tokens_to_remove=4, stride=1),
    "cut first": case("truncate_sequences", [1, 2, 3, 4, 5, 6], [7, 8, 9], truncation_strategy="only_first", **CUT),
    "cut second": case("truncate_sequences", [1, 2, 3, 4, 5, 6], [7, 8, 9], truncation_strategy="only_second", **CUT),
    "cut nothing": case("truncate_sequences", [1, 2, 3], [7], truncation_strategy="do_not_truncate", **CUT),
    "cut left": case(
        "truncate_sequences", [1, 2, 3, 4, 5, 6], setup=[["set", "truncation_side", "left"]], **CUT
    ),
    "cut pair left": case(
        "truncate_sequences", [1, 2, 3, 4, 5, 6], [7, 8, 9], num_tokens_to_remove=4,
        setup=[["set", "truncation_side", "left"]],
    ),
    "cut everything": case("truncate_sequences", [1, 2, 3], [4, 5], num_tokens_to_remove=7),
    "cut, long stride": case("truncate_sequences", [1, 2, 3], num_tokens_to_remove=1, stride=9),
    "overflow": case("__call__", LONG, **OVER),
    "overflow of nothing": case("__call__", "a", **OVER),
    "overflow of a batch": case("__call__", [LONG, "a"], padding=True, **OVER),
    "overflow on the left": case("__call__", LONG, setup=[["set", "truncation_side", "left"]], **OVER),
    "overflow of the second": case("__call__", "Who was", LONG, **{**OVER, "truncation": "only_second", "max_length": 12}),
    "overflow of pairs": case(
        "__call__", [["Who was", LONG], ["a", "b"]], **{**OVER, "truncation": "only_second", "max_length": 12}
    ),
    "overflow without truncation": case("__call__", LONG, **{**OVER, "truncation": False}),
    "offsets of a cut pair": case(
        "__call__", LONG, "a cat and a dog", truncation=True, max_length=12, return_offsets_mapping=True,
    ),
    "offsets of what overflows": case(
        "__call__", "a cat", LONG, truncation="only_second", max_length=12, return_offsets_mapping=True, stride=1,
        return_overflowing_tokens=True,
    ),
    "ids encoded": case("encode", [5, 6, 7]),
    "pair of ids encoded": case("encode", [5, 6], [7, 8]),
    "ids encoded bare": case("encode", [5, 6], add_special_tokens=False),
    "ids encoded, cut": case("encode", [5, 6, 7, 8, 9], truncation=True, max_length=4),
    "tokens encoded": case("encode", ["a", "zzzz"]),
    "tokens encoded in full": case("encode_plus", ["a", "b", "c"], ["d"]),
    "text and ids encoded": case("encode", "a cat", [5, 6]),
    "batch of pairs of ids": case("batch_encode_plus", [[[5, 6], [7]], [[8], [9]]]),
    "decoded with spaces": case("round_trip", "a <x><y> cat <s1> dog", setup=ADDED),
    "decoded without": case("round_trip", "a <x><y> cat <s1> dog", setup=ADDED, spaces_between_special_tokens=False),
    "decoded, special ones skipped": case(
        "round_trip", "a <x><y> cat <s1> dog", setup=ADDED, spaces_between_special_tokens=False, skip_special_tokens=True
    ),
    "tokens with a space before": case("tokenize", "cat dog", add_prefix_space=True),
    "ids with a space before": case("__call__", "cat dog", add_prefix_space=True),
    "no warnings": case("__call__", "a", verbose=False),
    "tokens, no warnings": case("tokenize", "a cat", verbose=False),
    "a new pad token": case("look", ["pad_token", "pad_token_id", "all_special_ids"], setup=[["set", "pad_token", "[NEW]"]]),
    "a new pad token pads": case("__call__", ["a", "a b"], padding=True, setup=[["set", "pad_token", "[NEW]"]]),
    "a new pad token is added": case(
        "look", ["pad_token_id", "added_tokens_encoder"],
        setup=[["set", "pad_token", "[NEW]"], ["add_tokens", [["[NEW]"]]]],
    ),
    "no separator": case("look", ["sep_token", "sep_token_id"], setup=[["set", "sep_token_id", None]]),
    "more special ids": case(
        "look", ["additional_special_tokens", "additional_special_tokens_ids"],
        setup=[["set", "additional_special_tokens_ids", [5, 6]]],
    ),
    "a new special token": case(
        "look", ["additional_special_tokens", "additional_special_tokens_ids"],
        setup=[["set", "additional_special_tokens", ["[NEW]"]]],
    ),
    "added tokens": case("look", ["added_tokens_encoder"]),
    "nothing added": case("add_tokens", [""]),
    "nothing and something added": case("add_tokens", ["", "q1"]),
    "padded to the length": case("__call__", ["a", LONG], pad_to_max_length=True, max_length=5),
    "not padded to the length": case("__call__", "a", pad_to_max_length=False),
    "padded as asked": case("__call__", ["a", "a b"], pad_to_max_length=True, padding=True),
    "a conversation": case("apply_chat_template", CHAT, setup=[["set", "chat_template", TEMPLATE]], tokenize=False),
    "a conversation to go on": case(
        "apply_chat_template", CHAT, chat_template=TEMPLATE, tokenize=False, add_generation_prompt=True
    ),
    "a conversation's ids": case("apply_chat_template", CHAT, chat_template=TEMPLATE),
    "conversations": case(
        "apply_chat_template", [CHAT, CHAT[:1]], chat_template=TEMPLATE, padding=True, return_dict=True
    ),
    "a conversation, cut": case(
        "apply_chat_template", CHAT, chat_template=TEMPLATE, truncation=True, max_length=6, return_dict=True,
        tokenizer_kwargs={"return_special_tokens_mask": True},
    ),
    "a template's own values": case(
        "apply_chat_template", CHAT, chat_template="[{{ messages|tojson }}|{{ nothing }}|{{ extra }}]", tokenize=False,
        extra="<E>",
    ),
    "a named template": case(
        "apply_chat_template", CHAT, chat_template="second", tokenize=False,
        setup=[["set", "chat_template", {"default": "1", "second": "2{{ messages[0].content }}"}]],
    ),
    "the default template": case(
        "apply_chat_template", CHAT, tokenize=False,
        setup=[["set", "chat_template", {"default": "1{{ messages[0].content }}", "second": "2"}]],
    ),
    "trained": case("train", [["a cat and a dog", "two cats and two dogs"], ["the cat the dog"]], vocab_size=290),
    "trained with other names": case(
        "train", ["a cat and a dog", "two cats and two dogs"], vocab_size=300, length=2, new_special_tokens=["<n1>"],
        special_tokens_map={"[UNK]": "<UU>", "<unk>": "<UU>", "<|endoftext|>": "<UU>"},
    ),
}  # fmt: skip


def make(classes, name, **options):
    """A tokenizer of the class `name` of a library on its vocabulary."""
    kinds = {"GPT2": "gpt2", "Roberta": "roberta", "Bart": "roberta", "Wav2Vec2": "ctc"}
    folder = HERE / "vocab" / next((kind for start, kind in kinds.items() if name.startswith(start)), "bert")
    if folder.name == "ctc":
        return getattr(classes, name)(str(folder / "vocab.json"), **options)
    if folder.name == "bert":
        return getattr(classes, name)(str(folder / "vocab.txt"), **options)
    options = {"pad_token": "<pad>", **options} if folder.name == "gpt2" else options
    return getattr(classes, name)(str(folder / "vocab.json"), str(folder / "merges.txt"), **options)


def run(tokenizer, one):
    """The answer of one case, as JSON holds it."""
    for name, *args in one["setup"]:
        setattr(tokenizer, *args) if name == "set" else getattr(tokenizer, name)(*args[0])
    args, kwargs = one["args"], one["kwargs"]
    if one["method"] == "look":
        answer = {name: getattr(tokenizer, name) for name in args[0]}
    elif one["method"] == "round_trip":
        answer = tokenizer.decode(tokenizer(args[0])["input_ids"], **kwargs)
    elif one["method"] == "train":
        new = tokenizer.train_new_from_iterator(*args, **kwargs)
        # Which of two equally frequent pieces comes first is left to chance by the trainer.
        special = {token: new.get_vocab()[token] for token in new.all_special_tokens}
        tokens = [new.convert_ids_to_tokens(new(*texts)["input_ids"]) for texts in (["a cat"], ["two dogs", "a cat"])]
        answer = [sorted(new.get_vocab()), special, new.special_tokens_map, tokens]
    else:
        answer = getattr(tokenizer, one["method"])(*args, **kwargs)
    return json.loads(json.dumps(answer, default=dict))


def main():
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    warnings.simplefilter("ignore")
    import transformers

    assert transformers.__version__ == "4.40.2"
    answers = {}
    for name, one in CASES.items():
        answers[name] = {}
        for cls in CLASSES:
            try:
                answers[name][cls] = run(make(transformers, cls), one)
            except (TypeError, ValueError, AttributeError, AssertionError, NotImplementedError):
                continue
    text = "{\n" + ",\n".join(f"{json.dumps(n)}: {json.dumps(a, ensure_ascii=False)}" for n, a in answers.items()) + "\n}\n"
    (HERE / "everyday.json").write_text(text, encoding="utf-8")
    print({name: len(found) for name, found in answers.items()})


if __name__ == "__main__":
    main()
