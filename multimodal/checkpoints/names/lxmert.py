"""Tensors of LXMERT."""

from __future__ import annotations

from multimodal.checkpoints.layout import Kind
from multimodal.checkpoints.names import bert
from multimodal.checkpoints.names.base import LAYER_NORM_LEGACY, Row, Table, linear, norm


def table(config) -> Table:
    """Every tensor of the family."""
    width = config.hidden_size
    features, boxes = "visual_embeddings.features", "visual_embeddings.boxes"
    base = [
        *bert.embeddings(config),
        *linear(features, "encoder.visn_fc.visn_fc", config.visual_feat_dim, width, ("embed", "none")),
        *norm(f"{features}_norm", "encoder.visn_fc.visn_layer_norm", width),
        *linear(boxes, "encoder.visn_fc.box_fc", config.visual_pos_dim, width, ("embed", "none")),
        *norm(f"{boxes}_norm", "encoder.visn_fc.box_layer_norm", width),
    ]
    for ours, theirs, layers in (("language", "layer", config.l_layers), ("vision", "r_layers", config.r_layers)):
        for layer in range(layers):
            place = f"encoder.{theirs}.{layer}"
            names = (f"{place}.attention", f"{place}.intermediate", f"{place}.output")
            base += block(config, f"{ours}.blocks.{layer}", *names)
    for layer in range(config.x_layers):
        base += cross_block(config, f"cross.blocks.{layer}", f"encoder.x_layers.{layer}")
    base += linear("pooler.dense", "pooler.dense", width, width, ("embed", "embed"))
    return Table(
        prefix="lxmert",
        base=tuple(base),
        heads=(*language_heads(config), *object_heads(config), *answer_head(config)),
        ignored=((r"embeddings\.position_ids", "counts the positions"),),
        ties=(("cls.predictions.decoder.weight", "lxmert.embeddings.word_embeddings.weight"),),
        legacy=LAYER_NORM_LEGACY,
        keras=((r"/decoder_dict/", "/decoder_dict."),),
    )


def block(config, ours: str, attention_name: str, up: str, down: str) -> list[Row]:
    """Self-attention and feed-forward layers."""
    width, inner = config.hidden_size, config.intermediate_size
    return [
        *attention(config, f"{ours}.attention", attention_name, "self"),
        *norm(f"{ours}.attention_norm", f"{attention_name}.output.LayerNorm", width),
        *linear(f"{ours}.mlp.up", f"{up}.dense", width, inner, ("mlp", "embed")),
        *linear(f"{ours}.mlp.down", f"{down}.dense", inner, width, ("embed", "mlp")),
        *norm(f"{ours}.mlp_norm", f"{down}.LayerNorm", width),
    ]


def cross_block(config, ours: str, theirs: str) -> list[Row]:
    """One layer of the cross-modality encoder, with one cross-attention for both directions."""
    both = f"{theirs}.visual_attention"
    rows = [
        *attention(config, f"{ours}.cross_attention", both, "att"),
        *norm(f"{ours}.cross_attention_norm", f"{both}.output.LayerNorm", config.hidden_size),
    ]
    for stream, published in (("language", "lang"), ("vision", "visn")):
        names = (f"{theirs}.{published}_{part}" for part in ("self_att", "inter", "output"))
        rows += block(config, f"{ours}.{stream}", *names)
    return rows


def attention(config, ours: str, theirs: str, inner: str) -> list[Row]:
    """Query, key, value and output."""
    width = config.hidden_size
    rows = []
    for name in ("query", "key", "value"):
        rows += linear(f"{ours}.{name}", f"{theirs}.{inner}.{name}", width, width, ("heads", "embed"))
    return [*rows, *linear(f"{ours}.out", f"{theirs}.output.dense", width, width, ("embed", "heads"))]


def language_heads(config) -> list[Row]:
    """Scores of masked words, and of whether the text fits the image."""
    width, place, part = config.hidden_size, "cls.predictions", "lm_head"
    return [
        *linear("head.dense", f"{place}.transform.dense", width, width, ("embed", "embed"), part=part),
        *norm("head.norm", f"{place}.transform.LayerNorm", width, part=part),
        Row("head.bias", f"{place}.bias", (config.vocab_size,), Kind.BIAS, ("vocab",), part=part),
        *linear("matching", "cls.seq_relationship", width, 2, ("none", "embed"), part="matching_head"),
    ]


def object_heads(config) -> list[Row]:
    """Classes, attributes and features of objects."""
    width, place, part = config.hidden_size, "obj_predict_head", "object_head"
    rows = [
        *linear("objects.dense", f"{place}.transform.dense", width, width, ("embed", "embed"), part=part),
        *norm("objects.norm", f"{place}.transform.LayerNorm", width, part=part),
    ]
    sizes = {"obj": config.num_object_labels, "attr": config.num_attr_labels, "feat": config.visual_feat_dim}
    for name, outputs in sizes.items():
        published = f"{place}.decoder_dict.{name}"
        rows += linear(f"objects.{name}", published, width, outputs, ("none", "embed"), part=f"{name}_head")
    return rows


def answer_head(config) -> list[Row]:
    """Scores of every answer, through a layer of twice the width."""
    width, place, part = config.hidden_size, "answer_head.logit_fc", "answer_head"
    return [
        *linear("answers.up", f"{place}.0", width, 2 * width, ("mlp", "embed"), part=part),
        *norm("answers.norm", f"{place}.2", 2 * width, part=part),
        *linear("answers.scores", f"{place}.3", 2 * width, config.num_qa_labels, ("answers", "mlp"), part=part),
    ]
