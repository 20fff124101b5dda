"""What the encoder-decoder composite does the same way in every backend: how it is put together, and who gets which keyword."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from multimodal import auto, hub, registry
from multimodal.checkpoints import choice as choices
from multimodal.checkpoints.names import Row
from multimodal.checkpoints.names.base import under
from multimodal.checkpoints.source import FreshSource
from multimodal.configs.vision_encoder_decoder import VisionEncoderDecoderConfig, check_side
from multimodal.modeling.base import NOT_NEEDED
from multimodal.modeling.structures import NetworkOutput
from multimodal.specs.base import RETURNS, Specification
from multimodal.suggestions import reject_unknown

_NOT_ROUTED = {a.name for a in RETURNS} | {"labels", "use_cache", "past_key_values"}


class EncoderDecoderBase:
    """The neutral half of `VisionEncoderDecoderModel`."""

    @classmethod
    def _composite_config(cls, config: Any, encoder: Any, decoder: Any) -> VisionEncoderDecoderConfig:
        """The configuration for whatever was given: a configuration, live halves, or both."""
        for side, half in (("encoder", encoder), ("decoder", decoder)):
            if half is not None:
                cls._expect_half(side, half)
        if config is None:
            if encoder is None or decoder is None:
                raise ValueError(
                    "config: expected a VisionEncoderDecoderConfig, or both encoder and decoder, got neither"
                )
            _check_decoder(decoder.config)
            return VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder.config, decoder.config)
        if not isinstance(config, VisionEncoderDecoderConfig):
            raise ValueError(f"config: expected a VisionEncoderDecoderConfig, got {type(config).__name__}")
        if encoder is not None:
            config.encoder = encoder.config
        if decoder is not None:
            config.decoder = decoder.config
        _check_decoder(config.decoder)
        config.validate()
        return config

    @classmethod
    def _expect_half(cls, side: str, half: Any) -> None:
        """ValueError unless a live half is of the class that its side is made of, and of this backend."""
        spec = getattr(half, "spec", None)
        if not isinstance(spec, Specification) or half.backend != cls.backend:
            prefix = registry.PREFIXES[cls.backend]
            expected = f"a live model of this backend ({prefix}ViTModel, {prefix}BertLMHeadModel, ...)"
            raise ValueError(f"{side}: expected {expected}, got {type(half).__name__}")
        check_side(side, half.config.model_type)
        expected = registry.model_name(VisionEncoderDecoderConfig.halves[side], half.config)
        if spec.name != expected:
            raise ValueError(f"{side}: expected a {expected}, got a {spec.name}")

    @classmethod
    def from_encoder_decoder_pretrained(
        cls,
        encoder_pretrained_model_name_or_path: str | Path | None = None,
        decoder_pretrained_model_name_or_path: str | Path | None = None,
        *model_args: Any,
        **kwargs: Any,
    ) -> Self:
        """Two checkpoints as one model; cross-attention that the decoder's lacks is drawn fresh and reported.

        Keywords with the prefix `encoder_` or `decoder_` go to that half (`encoder_model` and `decoder_model` are live
        models), hub options and which file is read (`checkpoints.choice`) to both, the rest to the composite's configuration.
        """
        halves = {"encoder": encoder_pretrained_model_name_or_path, "decoder": decoder_pretrained_model_name_or_path}
        routed: dict[str, dict[str, Any]] = {side: {} for side in halves}
        hub_options, rest = hub.split_options(kwargs)
        choice, rest = choices.split({name: value for name, value in rest.items() if name not in NOT_NEEDED})
        for name in list(rest):
            side = name.split("_", 1)[0]
            if name in ("config", *halves):
                raise ValueError(
                    f"{name}: expected encoder_config, decoder_config, encoder_model, decoder_model or settings, got {name}"
                )
            if side in halves and name not in ("decoder_start_token_id",):
                routed[side][name.removeprefix(f"{side}_")] = rest.pop(name)
        dtype = rest.pop("dtype", rest.pop("torch_dtype", None))
        models = {
            side: cls._half(side, path, routed[side], {**hub_options, **choice}, model_args, dtype)
            for side, path in halves.items()
        }
        config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
            models["encoder"].config, models["decoder"].config, **rest
        )
        model = cls(config=config, encoder=models["encoder"], decoder=models["decoder"])
        for side, half in models.items():
            model.load_report.merge(half.load_report, f"{side}.")
        model._ready()
        return model

    @classmethod
    def _half(cls, side: str, path: Any, own: dict[str, Any], shared: dict[str, Any], args: tuple, dtype: Any) -> Any:
        """One live half: the one given, or one loaded from its checkpoint, with keywords of its `own` and of both."""
        model = own.pop("model", None)
        if model is not None:
            beside = [f"{side}_{name}" for name in own] + [f"{side}_pretrained_model_name_or_path"] * (path is not None)
            if beside:
                raise ValueError(
                    f"{side}_model: expected a live model and nothing else of this half, got {beside[0]} too"
                )
            cls._expect_half(side, model)
            return model
        if path is None:
            raise ValueError(
                f"{side}_pretrained_model_name_or_path: expected a checkpoint, or {side}_model, got neither"
            )
        for name in ("is_decoder", "add_cross_attention"):
            if side == "decoder" and not own.get(name, True):
                raise ValueError(
                    f"decoder_{name}: expected True, because a decoder attends to images, got {own[name]!r}"
                )
        hub_options, options = hub.split_options({**shared, **own})
        config = options.pop("config", None)
        if config is None:
            config = auto.AutoConfig.from_pretrained(path, **hub_options)
        check_side(side, config.model_type)
        if side == "decoder":
            config.is_decoder = True
            config.add_cross_attention = True
        auto_class = VisionEncoderDecoderConfig.halves[side]
        model_class = registry.model_class(cls.backend, registry.model_name(auto_class, config))
        args = args if side == "encoder" else ()
        options = {"dtype": dtype, **hub_options, **options}
        return model_class.from_pretrained(path, *args, config=config, **options)

    def route(self, kwargs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """(arguments of the encoder, arguments of the decoder): those with the prefix `decoder_` are the decoder's."""
        encoder = {k: v for k, v in kwargs.items() if not k.startswith("decoder_")}
        decoder = {k.removeprefix("decoder_"): v for k, v in kwargs.items() if k.startswith("decoder_")}
        known = self.routed_names()
        for given, prefix in ((encoder, ""), (decoder, "decoder_")):
            for name in given:
                if prefix + name not in known and f"decoder_{name}" in known:
                    raise ValueError(f"{self.spec.name}: unknown argument {name!r}; did you mean 'decoder_{name}'?")
            reject_unknown(self.spec.name, (prefix + name for name in given), known)
        return encoder, decoder

    def routed_names(self) -> list[str]:
        """The keywords of a call that go to the halves."""
        sides = ((self.encoder.spec, ""), (self.decoder.spec, "decoder_"))
        return [prefix + name for spec, prefix in sides for name in self._routed(spec)]

    def _routed(self, spec: Specification) -> list[str]:
        """The arguments of a half that a call of ours may have, what this backend adds to them included."""
        added = (argument.name for argument in spec.extra.get(self.backend, ()) if argument.kind != "flag")
        return [name for name in (*spec.names(), *added) if name not in _NOT_ROUTED]

    def _check_halves(self, encoder: dict[str, Any], decoder: dict[str, Any]) -> None:
        """Check what was routed to the halves; the composite's own arguments are checked by its own specification."""
        for half, given, prefix in ((self.encoder, encoder, ""), (self.decoder, decoder, "decoder_")):
            if given:
                half._check_given(given, prefix)

    def shift_tokens(self) -> tuple[int, int]:
        """(pad, start) of decoder inputs that are made from labels. ValueError where the configuration has none."""
        config = self.config
        start = _first(
            config.decoder_start_token_id, config.decoder.decoder_start_token_id, config.decoder.bos_token_id
        )
        if start is None:
            raise ValueError(
                "labels: to make decoder_input_ids of them, expected config.decoder_start_token_id to be set, got None"
            )
        pad = _first(config.pad_token_id, config.decoder.pad_token_id, config.eos_token_id, config.decoder.eos_token_id)
        if pad is None:
            raise ValueError(
                "labels: to make decoder_input_ids of them, expected config.pad_token_id to be set, got None"
            )
        return pad, start

    def rows(self) -> list[Row]:
        """The tensors of the halves as they are (a live one may have no pooler), and the composite's own."""
        halves = {f"{side}.": getattr(self, side) for side in ("encoder", "decoder")}
        own = [row for row in super().rows() if not row.name.startswith(tuple(halves))]
        return [*(row for prefix, half in halves.items() for row in under(half.rows(), prefix, prefix)), *own]

    def _fresh(self, rows: list[Row], seed: int = 0) -> FreshSource:
        """Each half is drawn as wide as its own configuration says, and what lies between them as the decoder's does."""
        return fresh_halves(self.config, rows, seed, self.config.decoder.initializer_range)

    def resize_token_embeddings(self, new_num_tokens: int | None = None, pad_to_multiple_of: int | None = None) -> Any:
        """Give the decoder's vocabulary another size."""
        return self.decoder.resize_token_embeddings(new_num_tokens, pad_to_multiple_of)

    def prune_heads(self, heads_to_prune: dict[int, list[int]]) -> None:
        """A composite has two sets of heads: prune one half's."""
        raise ValueError(
            "prune_heads: expected model.encoder.prune_heads or model.decoder.prune_heads, got the composite"
        )

    def cached_layers(self) -> list[tuple[int, int, bool]]:
        return self.decoder.cached_layers()

    def get_encoder(self) -> Any:
        """The encoder as a public model; it shares its tensors with this one."""
        return self.encoder

    def get_decoder(self) -> Any:
        """The decoder as a public model; it shares its tensors with this one."""
        return self.decoder

    def get_input_embeddings(self) -> Any:
        """The decoder's token embeddings."""
        return self.decoder.get_input_embeddings()

    def set_input_embeddings(self, value: Any) -> None:
        """Set the decoder's token embeddings."""
        self.decoder.set_input_embeddings(value)

    def gradient_checkpointing_enable(self, *args: Any, **options: Any) -> None:
        """Compute the blocks of both halves anew in the backward pass instead of keeping what is inside them."""
        for half in (self.encoder, self.decoder):
            half.gradient_checkpointing_enable(*args, **options)

    def gradient_checkpointing_disable(self) -> None:
        """Keep what is inside the blocks of both halves for the backward pass."""
        for half in (self.encoder, self.decoder):
            half.gradient_checkpointing_disable()

    @property
    def is_gradient_checkpointing(self) -> bool:
        """Whether the blocks of a half are computed anew in the backward pass."""
        return any(half.is_gradient_checkpointing for half in (self.encoder, self.decoder))

    def half_class(self, side: str) -> type:
        """The public class of one half."""
        config = getattr(self.config, side)
        auto_class = "AutoModel" if side == "encoder" else "AutoModelForCausalLM"
        return registry.model_class(self.backend, registry.model_name(auto_class, config))


def fresh_halves(config: Any, rows: list[Row], seed: int, otherwise: float) -> FreshSource:
    """Fresh tensors of a composite: each half's as wide as its own configuration says, all others as `otherwise`."""
    wide = {config.places.get(side, side): getattr(config, side).initializer_range for side in config.halves}
    scaled = [replace(row, deviation=row.deviation * wide.get(row.name.split(".")[0], otherwise)) for row in rows]
    return FreshSource(scaled, seed, 1.0)


def given_encoding(encoder_outputs: Any, width: int) -> NetworkOutput:
    """`encoder_outputs` of a call: an output, or a tuple (last_hidden_state, hidden_states, attentions)."""
    output = _encoding(encoder_outputs)
    shape = getattr(output.x, "shape", None)
    if shape is None or len(shape) != 3 or shape[-1] not in (width, None):
        got = type(output.x).__name__ if shape is None else tuple(shape)
        raise ValueError(f"encoder_outputs: expected last_hidden_state (batch, length, hidden={width}), got {got}")
    return output


def _encoding(encoder_outputs: Any) -> NetworkOutput:
    if hasattr(encoder_outputs, "shape"):
        raise ValueError(
            "encoder_outputs: expected an output or a tuple that begins with last_hidden_state, got an array"
        )
    if isinstance(encoder_outputs, Mapping):
        names = ("last_hidden_state", "hidden_states", "attentions")
        x, hidden_states, attentions = (encoder_outputs.get(name) for name in names)
    else:
        x, hidden_states, attentions = (*encoder_outputs, None, None, None)[:3]
    return NetworkOutput(x, hidden_states=hidden_states, attentions=attentions)


def _check_decoder(config: Any) -> None:
    if not config.add_cross_attention:
        raise ValueError(
            "decoder: expected a decoder with cross-attention (config.add_cross_attention=True, config.is_decoder=True), "
            "got one without"
        )


def _first(*values: int | None) -> int | None:
    return next((v for v in values if v is not None), None)
