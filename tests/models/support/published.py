"""Tiny random checkpoints under the published names that the documented examples load. No framework."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import zoo

from multimodal.processors.beit import BeitImageProcessor
from multimodal.processors.roberta import RobertaTokenizerFast
from multimodal.processors.trocr import TrOCRProcessor
from multimodal.processors.vit import ViTImageProcessor

VOCABULARIES = Path(__file__).parents[2] / "golden" / "processors" / "vocab"
SIZE = {"height": zoo.IMAGE, "width": zoo.IMAGE}


def vision_encoder_decoder(root: Path) -> Path:
    """A ViT, a Swin, a BERT and a GPT-2 as they are published (no cross-attention), a captioner of ViT and GPT-2, a TrOCR."""
    vit = zoo.half("vit")
    zoo.write(root / "google/vit-base-patch16-224-in21k", "ViTModel", vit, seed=1)
    ViTImageProcessor(size=SIZE).save_pretrained(root / "google/vit-base-patch16-224-in21k")
    zoo.write(root / "microsoft/swin-base-patch4-window7-224-in22k", "SwinModel", zoo.half("swin"), seed=5)
    plain = {"is_decoder": False, "add_cross_attention": False}
    ids = vocabulary(root / "google-bert/bert-base-uncased", "bert")
    bert = zoo.half("bert", **plain, vocab_size=len(ids), max_position_embeddings=64)
    zoo.write(root / "google-bert/bert-base-uncased", "BertLMHeadModel", bert, seed=2)
    ids = vocabulary(root / "openai-community/gpt2", "gpt2")
    end = ids["<|endoftext|>"]
    fields = {"bos_token_id": end, "eos_token_id": end, "vocab_size": len(ids), "n_positions": 64}
    zoo.write(root / "openai-community/gpt2", "GPT2LMHeadModel", zoo.half("gpt2", **fields, **plain), seed=3)
    captioner = root / "nlpconnect/vit-gpt2-image-captioning"
    vocabulary(captioner, "gpt2")
    ViTImageProcessor(size=SIZE).save_pretrained(captioner)
    tokens = {"decoder_start_token_id": end, "pad_token_id": end, "eos_token_id": end}
    same_width = zoo.half("gpt2", **fields, n_embd=vit.hidden_size)  # so without a projection, as the published one is
    zoo.write(captioner, zoo.COMPOSITE, zoo.config(zoo.COMPOSITE, same_width, **tokens), seed=4)
    reader = root / "microsoft/trocr-base-handwritten"
    ids = vocabulary(reader, "roberta")
    fields = {"vocab_size": len(ids), "max_position_embeddings": 64, "cross_attention_hidden_size": vit.hidden_size}
    start = {"decoder_start_token_id": ids["</s>"], "pad_token_id": ids["<pad>"], "eos_token_id": ids["</s>"]}
    zoo.write(reader, zoo.COMPOSITE, zoo.config(zoo.COMPOSITE, zoo.half("trocr", **fields), **start), seed=5)
    TrOCRProcessor(ViTImageProcessor(size=SIZE), RobertaTokenizerFast.from_pretrained(reader)).save_pretrained(reader)
    return root


def data2vec_vision(root: Path) -> Path:
    """An encoder, and a classifier that knows one class by several numbers, for pictures of the documented size.

    As many layers as published: the maps that a segmenter looks at are of layers up to the last.
    """
    classes = {
        "facebook/data2vec-vision-base": "Data2VecVisionModel",
        "facebook/data2vec-vision-base-ft1k": "Data2VecVisionForImageClassification",
    }
    for name, class_name in classes.items():
        config = zoo.half("data2vec-vision", image_size=224, patch_size=16, num_hidden_layers=12)
        config.out_indices, config.id2label = [3, 5, 7, 11], dict.fromkeys(range(4), "remote control, remote")
        zoo.write(root / name, class_name, config)
        BeitImageProcessor(size=224, crop_size=224).save_pretrained(root / name)
    return root


def vocabulary(folder: Path, kind: str) -> dict[str, int]:
    """Put a tokenizer's files into a folder; the ids of its entries."""
    shutil.copytree(VOCABULARIES / kind, folder, dirs_exist_ok=True)
    if (folder / "vocab.json").is_file():
        return json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    entries = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    return {entry: number for number, entry in enumerate(entries)}
