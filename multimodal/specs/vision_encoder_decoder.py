"""What the image-to-text composite takes and gives (seed page 003)."""

from __future__ import annotations

from dataclasses import replace

from multimodal import registry
from multimodal.modeling.outputs import Seq2SeqLMOutput
from multimodal.specs.base import EXTRA, RETURNS, TEXT, Argument, Field, Sizes, Specification, flag
from multimodal.specs.call import Call


def dimensions(config) -> dict[str, int]:
    """Sizes that the configurations of the two halves fix."""
    encoder, decoder = (half(config, side).dimensions(getattr(config, side)) for side in config.halves)
    return encoder | decoder | {f"encoder_{k}": v for k, v in encoder.items()}


def half(config, side: str) -> Specification:
    """What the class takes and gives that one half is built as."""
    from multimodal import specs

    return specs.of(registry.model_name(config.halves[side], getattr(config, side)))


def attended_width(config) -> int:
    """How wide the states are that the decoder attends to."""
    spec = half(config, "decoder")
    return spec.dimensions(config.decoder)[str(spec.argument("encoder_hidden_states").shape[-1])]


IMAGES = ("batch", "channels", "height", "width")
STATES = ("batch", "positions", "width")


def encoders() -> tuple[str, ...]:
    """Architectures that may be the encoder: their model makes a sequence of states of images alone."""
    return tuple(model_type for model_type in registry.FAMILIES if _encodes(model_type))


def decoders() -> tuple[str, ...]:
    """Architectures that may be the decoder: their causal language model has a cache and may attend to an encoder."""
    return tuple(model_type for model_type in registry.FAMILIES if _decodes(model_type))


def _encodes(model_type: str) -> bool:
    spec = _of_one(model_type, "AutoModel")
    if spec is None or spec.exactly_one != (("pixel_values",),) or spec.argument("pixel_values").shape != IMAGES:
        return False
    states = next(field for field in spec.fields if field.name == "last_hidden_state")
    return len(states.shape) == len(STATES)


def _decodes(model_type: str) -> bool:
    spec = _of_one(model_type, "AutoModelForCausalLM")
    return spec is not None and {"encoder_hidden_states", "past_key_values"}.issubset(spec.names())


def _of_one(model_type: str, auto_class: str) -> Specification | None:
    """The specification of what an Auto class builds of an architecture that is no composite; None where it builds none."""
    from multimodal import specs

    row = registry.FAMILIES[model_type]
    return None if row.halves or auto_class not in row.models else specs.of(row.models[auto_class])


PREFIXES = {"encoder": "", "decoder": "decoder_"}
"""What the names of a half's arguments begin with."""


def halves_keep_their_rules(call: Call) -> None:
    """What must hold of a call of either half alone must hold of its part of ours."""
    for side, prefix in PREFIXES.items():
        part = call.half(half(call.config, side), getattr(call.config, side), prefix)
        for rule in part.spec.rules:
            rule(part)


def _of_encoder(field: Field) -> Field:
    """A field of the output; the encoder's own states and attentions, whose sizes it may have otherwise in each stage."""
    name = field.name.removeprefix("encoder_")
    if name not in ("hidden_states", "attentions") or name == field.name:
        return field

    def stage(config, sizes: Sizes, index: int) -> Sizes:
        spec = half(config, "encoder")
        own = next(one for one in spec.fields if one.name == name)
        inside = spec.complete(config.encoder, {symbol: sizes[symbol] for symbol in SEEN if symbol in sizes})
        return {str(symbol): size for symbol, size in zip(field.shape, own.shape_at(config.encoder, inside, index))}

    return replace(field, stage=stage)


SEEN = ("batch", "height", "width")
"""What an encoder's sizes follow from."""
FIELDS = tuple(_of_encoder(field) for field in Seq2SeqLMOutput.declared.values())

VisionEncoderDecoderModel = Specification(
    name="VisionEncoderDecoderModel",
    model_type="vision-encoder-decoder",
    arguments=(
        Argument("pixel_values", "float", ("batch", "channels", "height", "width")),
        Argument("decoder_input_ids", "int", TEXT, high="vocab_size"),
        Argument("decoder_attention_mask", "mask", ("batch", "total"), other_shape=("batch", "length", "total")),
        Argument("encoder_outputs", "structure"),
        Argument("past_key_values", "structure"),
        Argument("decoder_inputs_embeds", "float", (*TEXT, "hidden")),
        Argument("labels", "int", TEXT, low=-100, high="vocab_size", meaning="the right tokens; -100 is ignored"),
        flag("use_cache"),
        *RETURNS,
    ),
    output=Seq2SeqLMOutput,
    fields=FIELDS,
    dimensions=dimensions,
    parts=("base", "pooler", "mask_token", "cross_attention", "lm_head", "projection"),
    towers=("encoder_", "decoder_"),
    keywords="arguments of the encoder, and with the prefix `decoder_` of the decoder",
    exactly_one=(("decoder_input_ids", "decoder_inputs_embeds"),),
    instead={("decoder_input_ids", "decoder_inputs_embeds"): "labels, of which decoder_input_ids are made"},
    at_least_one=(("pixel_values", "encoder_outputs"),),
    sizes=(("height", "image_height"), ("width", "image_width")),
    rules=(halves_keep_their_rules,),
    loss="cross entropy of each position's logits with the label at the same position; -100 is ignored",
    extra={
        **EXTRA,
        "flax": (Argument("decoder_position_ids", "int", TEXT, high="positions"), *EXTRA["flax"]),
    },
    positional={
        "flax": (
            *("pixel_values", "decoder_input_ids", "decoder_attention_mask", "decoder_position_ids"),
            *("output_attentions", "output_hidden_states", "return_dict", "train", "params", "dropout_rng"),
        ),
    },
)
