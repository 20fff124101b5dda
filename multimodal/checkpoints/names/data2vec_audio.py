"""Tensors of Data2Vec-audio."""

from __future__ import annotations

from multimodal.checkpoints.layout import Kind
from multimodal.checkpoints.names.base import LAYER_NORM_LEGACY, Row, Table, attention, kept_heads, linear, norm


def table(config) -> Table:
    """Every tensor of the family."""
    width = config.hidden_size
    base = [*features(config), *positions(config), *norm("norm", "encoder.layer_norm", width)]
    if config.has_mask_embedding:
        base.append(Row("mask.vector", "masked_spec_embed", (width,), Kind.TABLE, ("embed",), part="mask_embedding"))
    for layer in range(config.num_hidden_layers):
        base += block(config, layer)
    base += adapter(config)
    return Table(
        prefix="data2vec_audio",
        base=tuple(base),
        heads=tuple(heads(config)),
        others=() if config.has_mask_embedding else ("masked_spec_embed",),
        legacy=LAYER_NORM_LEGACY,
    )


def convolution(
    name: str, published: str, inputs: int, outputs: int, kernel: int, *, groups: int = 1, bias: bool = True,
    part: str = "base",
) -> list[Row]:  # fmt: skip
    """Weight and bias of a convolution of sequences."""
    kind = Kind.CONV1D if groups == 1 else Kind.GROUPED_CONV1D
    shape, axes = (outputs, inputs // groups, kernel), ("embed", "none", "none")
    rows = [Row(f"{name}.weight", f"{published}.weight", shape, kind, axes, part=part)]
    if bias:
        rows.append(Row(f"{name}.bias", f"{published}.bias", (outputs,), Kind.BIAS, axes[:1], part=part))
    return rows


def features(config) -> list[Row]:
    """Convolutions of the sound, each normalised, and the projection of what they give."""
    rows, inputs = [], 1
    for layer, (outputs, kernel) in enumerate(zip(config.conv_dim, config.conv_kernel)):
        ours, theirs = f"features.layers.{layer}", f"feature_extractor.conv_layers.{layer}"
        rows += convolution(f"{ours}.conv", f"{theirs}.conv", inputs, outputs, kernel, bias=config.conv_bias)
        rows += norm(f"{ours}.norm", f"{theirs}.layer_norm", outputs)
        inputs = outputs
    return [
        *rows,
        *norm("projection.norm", "feature_projection.layer_norm", inputs),
        *linear("projection.dense", "feature_projection.projection", inputs, config.hidden_size, ("embed", "none")),
    ]


def positions(config) -> list[Row]:
    """Positional convolutions, whose normalisations have no tensors."""
    rows, width = [], config.hidden_size
    for layer in range(config.num_conv_pos_embeddings):
        rows += convolution(
            f"positions.layers.{layer}.conv", f"encoder.pos_conv_embed.layers.{layer}.conv", width, width,
            config.conv_pos_kernel_size, groups=config.num_conv_pos_embedding_groups,
        )  # fmt: skip
    return rows


def block(config, layer: int) -> list[Row]:
    """One layer of the encoder."""
    width, inner = config.hidden_size, config.intermediate_size
    heads = kept_heads(config, layer) * (width // config.num_attention_heads)
    ours, theirs = f"transformer.blocks.{layer}", f"encoder.layers.{layer}"
    rows = attention(f"{ours}.attention", f"{theirs}.attention", "proj", width, heads)
    rows += norm(f"{ours}.attention_norm", f"{theirs}.layer_norm", width)
    rows += linear(f"{ours}.mlp.up", f"{theirs}.feed_forward.intermediate_dense", width, inner, ("mlp", "embed"))
    rows += linear(f"{ours}.mlp.down", f"{theirs}.feed_forward.output_dense", inner, width, ("embed", "mlp"))
    return [*rows, *norm(f"{ours}.mlp_norm", f"{theirs}.final_layer_norm", width)]


def adapter(config) -> list[Row]:
    """Convolutions that leave fewer positions, behind a projection where the widths differ."""
    width, part = config.adapter_size, "adapter_projection"
    rows = linear("adapter.dense", "adapter.proj", config.hidden_size, width, ("embed", "embed"), part=part)
    rows += norm("adapter.norm", "adapter.proj_layer_norm", width, part=part)
    for layer in range(config.num_adapter_layers):
        name = f"adapter.layers.{layer}.conv"
        rows += convolution(name, name, width, 2 * width, config.adapter_kernel_size, part="adapter")
    return rows


def heads(config) -> list[Row]:
    """One head for each task; they share some published names."""
    width, labels, out = config.hidden_size, config.num_labels, ("none", "embed")
    weights, size = (config.num_hidden_layers + 1,), config.classifier_proj_size
    return [
        Row(
            "mixture.scores", "layer_weights", weights, Kind.TABLE, ("none",), part="layer_weights",
            initial=1 / weights[0],
        ),
        *linear("head.out", "lm_head", config.output_size, config.vocab_size, ("vocab", "embed"), part="ctc_head"),
        *linear("head.dense", "projector", width, size, ("embed", "embed"), part="sequence_head"),
        *linear("head.out", "classifier", size, labels, out, part="sequence_head"),
        *linear("head.out", "classifier", width, labels, out, part="frame_head"),
        *xvector(config),
    ]  # fmt: skip


def xvector(config) -> list[Row]:
    """The head that makes vectors of voices; a kernel is published as the matrix of a linear layer, (outputs, length inputs)."""
    part, vector, square = "xvector_head", config.xvector_output_dim, ("embed", "embed")
    inputs = config.tdnn_dim[0]
    rows = linear("head.dense", "projector", config.hidden_size, inputs, square, part=part)
    for layer, (outputs, kernel) in enumerate(zip(config.tdnn_dim, config.tdnn_kernel)):
        names = f"head.layers.{layer}.kernel", f"tdnn.{layer}.kernel"
        rows += linear(*names, inputs * kernel, outputs, square, part=part)
        inputs = outputs
    rows += linear("head.embedding", "feature_extractor", 2 * inputs, vector, square, part=part)
    rows += linear("head.out", "classifier", vector, vector, square, part=part)
    speakers = Row(
        "head.speakers", "objective.weight", (vector, config.num_labels), Kind.TABLE, ("embed", "none"), part=part
    )
    return [*rows, speakers]
