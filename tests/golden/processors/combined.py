"""Calls with labels, logits, and pictures beside texts, as data: what `combined.json` holds the published answers to.

    python combined.py          # in an environment with transformers==4.40.2

writes `combined.json`: {"labels" | "segmented" | "align": {case: answer}}. Inputs are formulas, for both sides.
"""

import json
import os
import pathlib
import types
import warnings

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent

# Resampling 0 is what labels are always resized with here; in the reference they go as their picture does.
LABELS = {
    "resized": {"size": {"height": 8, "width": 9}, "do_center_crop": False},
    "enlarged": {"size": {"height": 25, "width": 19}, "do_center_crop": False},
    "reduced": {"size": {"height": 8, "width": 9}, "do_center_crop": False, "do_reduce_labels": True},
    "cropped": {"do_resize": False, "crop_size": {"height": 7, "width": 10}, "do_reduce_labels": True},
    "cropped beyond": {"do_resize": False, "crop_size": {"height": 14, "width": 20}},
    "resized and cropped": {"size": {"height": 10, "width": 10}, "crop_size": {"height": 6, "width": 7}},
}
SEGMENTED = {
    "own size": None,
    "larger": [[11, 14], [5, 6]],
    "smaller": [[3, 4], [1, 1]],
    "mixed": [[2, 17], [40, 3]],
}
ALIGN = {
    "both": {"text": ["a cat", "two dogs was a nice"], "images": 2},
    "one text": {"text": "a cat"},
    "pictures": {"images": 1, "size": {"height": 5, "width": 6}},
    "longest": {"text": ["a cat", "two dogs was a nice"], "padding": True},
    "as they are": {"text": ["a cat", "two dogs was a nice"], "padding": "do_not_pad"},
    "shorter": {"text": ["a cat"], "max_length": 9},
    "long": {"text": "a cat " * 40},
    "cut": {"text": "a cat " * 40, "truncation": True},
    "cut, longest": {"text": ["a cat " * 40, "a"], "truncation": True, "padding": True},
    "by place": {"arguments": [["a cat"], None, "max_length", 7]},
    "pairs": {"text": "a cat", "text_pair": "two dogs", "max_length": 10, "return_special_tokens_mask": True},
}


def picture(height=12, width=16):
    y, x, c = np.mgrid[:height, :width, :3]
    return ((7 * y + 13 * x + 31 * c + y * x) % 256).astype(np.uint8)


def labels(height=12, width=16):
    y, x = np.mgrid[:height, :width]
    return ((3 * y + 5 * x + y * x) % 7).astype(np.uint8)


def logits():
    return np.sin(np.arange(2 * 4 * 5 * 6) * 1.7).reshape(2, 4, 5, 6).astype(np.float32)


def align_call(processor, case):
    case = dict(case)
    arguments = case.pop("arguments", [])
    if "images" in case:
        case["images"] = [picture()] * case["images"]
    answer = dict(processor(*arguments, **case).items())
    if "pixel_values" in answer:
        answer["pixel_values"] = [list(np.shape(answer["pixel_values"])), float(np.sum(answer["pixel_values"]))]
    return answer


def main():
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    warnings.simplefilter("ignore")
    import torch
    import transformers

    assert transformers.__version__ == "4.40.2"
    beit = transformers.BeitImageProcessor(resample=0)
    tokenizer = transformers.BertTokenizerFast(str(HERE / "vocab" / "bert" / "vocab.txt"))
    align = transformers.AlignProcessor(transformers.EfficientNetImageProcessor(size={"height": 8, "width": 8}), tokenizer)
    outputs = types.SimpleNamespace(logits=torch.from_numpy(logits()))
    answers = {
        "labels": {n: beit(picture(), labels(), **options)["labels"][0].tolist() for n, options in LABELS.items()},
        "segmented": {
            n: [m.tolist() for m in beit.post_process_semantic_segmentation(outputs, sizes)]
            for n, sizes in SEGMENTED.items()
        },
        "align": {n: align_call(align, case) for n, case in ALIGN.items()},
    }
    groups = [
        f"{json.dumps(name)}: {{\n" + ",\n".join(f"{json.dumps(n)}: {json.dumps(a)}" for n, a in group.items()) + "\n}"
        for name, group in answers.items()
    ]
    (HERE / "combined.json").write_text("{\n" + ",\n".join(groups) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
