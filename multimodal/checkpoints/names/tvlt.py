"""Tensors of TVLT."""

from __future__ import annotations

from multimodal.checkpoints.layout import Kind
from multimodal.checkpoints.names.base import Row, Table, linear, norm
from multimodal.checkpoints.names.vit import block

ONE = ("none", "none", "embed")
PLACES = ("none", "positions", "embed")


def table(config) -> Table:
    """Every tensor of the family."""
    width = config.hidden_size
    base = [*pixel_embeddings(config), *audio_embeddings(config)]
    for layer in range(config.num_hidden_layers):
        base += block(config, layer)
    base += norm("norm", "layernorm", width, part="final_norm")
    heads = (*matching_head(config), *decoder(config), *classifier(config))
    return Table(prefix="tvlt", base=tuple(base), heads=heads)


def pixel_embeddings(config) -> list[Row]:
    """The class token, patches of the frames, and where they are."""
    ours, theirs = "embeddings", "pixel_embeddings"
    width, kernel = config.hidden_size, (config.hidden_size, config.num_image_channels, *config.image_patch)
    return [
        Row("joined.class_token", "cls_embedding", (1, 1, width), Kind.TABLE, ONE),
        Row(f"{ours}.places.kind", f"{theirs}.type_embed_v", (1, 1, width), Kind.TABLE, ONE),
        Row(f"{ours}.places.rows", f"{theirs}.temporal_embed", (1, config.num_frames, width), Kind.TABLE, PLACES),
        Row(f"{ours}.places.columns", f"{theirs}.pos_embed_v", (1, config.frame_patches, width), Kind.TABLE, PLACES),
        *patches(ours, theirs, kernel),
    ]


def audio_embeddings(config) -> list[Row]:
    """Patches of the spectrogram, and where they are."""
    ours, theirs = "audio_embeddings", "audio_embeddings"
    width, (times, bands) = config.hidden_size, config.audio_grid
    return [
        Row(f"{ours}.places.kind", f"{theirs}.type_embed_a", (1, 1, width), Kind.TABLE, ONE),
        Row(f"{ours}.places.rows", f"{theirs}.pos_embed_a", (1, times, width), Kind.TABLE, PLACES),
        Row(f"{ours}.places.columns", f"{theirs}.freq_embed", (1, bands, width), Kind.TABLE, PLACES),
        *patches(ours, theirs, (width, config.num_audio_channels, *config.audio_patch)),
    ]


def patches(ours: str, theirs: str, kernel: tuple[int, ...]) -> list[Row]:
    """The projection of patches."""
    theirs = f"{theirs}.patch_embeddings.projection"
    return [
        Row(f"{ours}.patches.weight", f"{theirs}.weight", kernel, Kind.CONV2D, ("embed", "none", "none", "none")),
        Row(f"{ours}.patches.bias", f"{theirs}.bias", kernel[:1], Kind.BIAS, ("embed",)),
    ]


def matching_head(config) -> list[Row]:
    """Whether pictures and sound belong together."""
    width, part = config.hidden_size, "matching_head"
    return [
        *linear("matching.pooler.dense", "matching_head.pooler.dense", width, width, ("embed", "embed"), part=part),
        *linear("matching.scores", "matching_head.fc", width, 1, ("none", "embed"), part=part),
    ]


def decoder(config) -> list[Row]:
    """What hidden patches are made of again."""
    part, width, inner = "decoder", config.hidden_size, config.decoder_hidden_size
    times, bands = config.audio_grid
    tables = {
        "pixels.mask_token": ("pixel_mask_token", 1),
        "pixels.places.kind": ("decoder_pixel_type_embed", 1),
        "pixels.places.rows": ("decoder_temporal_embed", config.num_frames),
        "pixels.places.columns": ("decoder_pixel_pos_embed", config.frame_patches),
        "audio.mask_token": ("audio_mask_token", 1),
        "audio.places.kind": ("decoder_audio_type_embed", 1),
        "audio.places.rows": ("decoder_audio_pos_embed", times),
        "audio.places.columns": ("decoder_freq_embed", bands),
    }
    rows = [
        Row(f"decoder.{ours}", theirs, (1, count, inner), Kind.TABLE, ONE if count == 1 else PLACES, part=part)
        for ours, (theirs, count) in tables.items()
    ]
    rows += linear("decoder.narrow", "encoder_to_decoder", width, inner, ("embed", "embed"), part=part)
    for layer in range(config.decoder_num_hidden_layers):
        rows += block(config.decoder_sizes, layer, "decoder.transformer", "decoder.decoder_layers", part)
    rows += norm("decoder.norm", "decoder.layernorm", inner, part=part)
    sizes = {
        "pixel": config.num_image_channels * config.image_patch[0] * config.image_patch[1],
        "audio": config.num_audio_channels * config.audio_patch[0] * config.audio_patch[1],
    }
    for name, size in sizes.items():
        rows += linear(f"decoder.{name}_out", f"{name}_mae_head.decoder", inner, size, ("none", "embed"), part=part)
    return rows


def classifier(config) -> list[Row]:
    """Scores of every class."""
    width, part = config.hidden_size, "classifier"
    return [
        *linear("classifier.up", "classifier.0", width, 2 * width, ("mlp", "embed"), part=part),
        *norm("classifier.norm", "classifier.1", 2 * width, part=part),
        *linear("classifier.scores", "classifier.3", 2 * width, config.num_labels, ("none", "mlp"), part=part),
    ]
