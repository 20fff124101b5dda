"""How to generate: the published settings, and which of several places each comes from."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from multimodal import hub
from multimodal.configs.types import expect_types
from multimodal.files import read_json_object, write_text
from multimodal.generation import validation
from multimodal.publishing import Publishable

CONFIG_NAME = "generation_config.json"
UNAVAILABLE = {
    "guidance_scale": 1.0, "force_words_ids": None, "constraints": None, "forced_decoder_ids": None,
    "watermarking_config": None, "token_healing": False, "dola_layers": None,
}  # fmt: skip
"""{published setting that `generate` does not have: its default}. Files keep them."""


@dataclasses.dataclass
class GenerationConfig(Publishable):
    """Settings of `generate` under their published names. Unknown keys of a file are kept in `extras`.

    Settings that are published but not available are kept there too: `generate` refuses them.
    """

    # How long
    max_length: int = 20
    max_new_tokens: int | None = None
    min_length: int = 0
    min_new_tokens: int | None = None
    max_time: float | None = None
    stop_strings: str | list | None = None
    # How it is searched
    do_sample: bool = False
    num_beams: int = 1
    num_beam_groups: int = 1
    num_return_sequences: int = 1
    early_stopping: bool | str = False
    length_penalty: float = 1.0
    diversity_penalty: float = 0.0
    penalty_alpha: float | None = None
    num_assistant_tokens: int = 5
    use_cache: bool = True
    # What is drawn from
    temperature: float = 1.0
    top_k: int = 50
    top_p: float = 1.0
    min_p: float | None = None
    typical_p: float = 1.0
    epsilon_cutoff: float = 0.0
    eta_cutoff: float = 0.0
    # Rules on scores
    repetition_penalty: float = 1.0
    encoder_repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    encoder_no_repeat_ngram_size: int = 0
    bad_words_ids: list | None = None
    sequence_bias: dict | list | None = None
    suppress_tokens: list | None = None
    begin_suppress_tokens: list | None = None
    forced_bos_token_id: int | None = None
    forced_eos_token_id: int | list[int] | None = None
    exponential_decay_length_penalty: list | tuple | None = None
    remove_invalid_values: bool = False
    renormalize_logits: bool = False
    # What is given back
    return_dict_in_generate: bool = False
    output_scores: bool = False
    output_logits: bool = False
    output_attentions: bool = False
    output_hidden_states: bool = False
    # Tokens
    bos_token_id: int | None = None
    pad_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    decoder_start_token_id: int | None = None
    extras: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    from_model_config: bool = dataclasses.field(default=False, repr=False)
    """Whether a model's own configuration, where it says otherwise by now, wins over these values."""

    def __post_init__(self):
        self.validate()
        self._made = self._settings()

    def _settings(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name in _OF_A_CONFIGURATION}

    def beside(self, config: Any) -> Self:
        """These settings, and for what they leave open those that a model's configuration carries by now.

        Open is what nobody has set here: what has its default, and, where these settings were made from the
        configuration, what is as it was made. A default in the configuration says nothing: old files repeat them all.
        Special tokens are another matter (`resolve`).
        """
        defaults = GenerationConfig()
        changes = {}
        for name, value in self._settings().items():
            own = _carried(config, name)
            untouched = value == (self._made[name] if self.from_model_config else getattr(defaults, name))
            if untouched and own not in (None, getattr(defaults, name)):
                changes[name] = own
        found = dataclasses.replace(self, **changes)
        found._made = self._made
        return found

    def validate(self) -> None:
        """Raise ValueError, naming them, for settings that mean nothing by themselves or together."""
        validation.expect_ranges(self)
        expect_types(self, {})
        validation.expect_lists(self)
        validation.expect_consistent(self)

    @property
    def eos_token_ids(self) -> list[int]:
        """Every token that ends a sequence."""
        return [] if self.eos_token_id is None else _as_list(self.eos_token_id)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """From the content of a file; unknown keys are kept."""
        known = {f.name for f in dataclasses.fields(cls)} - {"extras", "from_model_config"}
        extras = {k: v for k, v in values.items() if k not in known and k != "_from_model_config"}
        return cls(
            **{k: v for k, v in values.items() if k in known},
            extras=extras,
            from_model_config=bool(values.get("_from_model_config", False)),
        )

    @classmethod
    def from_model_config_values(cls, config: Any) -> Self:
        """The settings that a model's configuration carries, a composite's also those of its decoder's (`_carried`)."""
        names = {f.name for f in dataclasses.fields(cls)} - {"extras", "from_model_config", "use_cache"}
        found = {n: _carried(config, n) if n in _OF_A_CONFIGURATION else vars(config).get(n) for n in names}
        values = {name: value for name, value in found.items() if value is not None}
        return cls.from_dict({**values, "_from_model_config": True})

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, **hub_options: Any) -> Self:
        """Read `generation_config.json` of a folder or hub name."""
        path = hub.find_file(name_or_path, CONFIG_NAME, **hub_options)
        if path is None:
            raise hub.CheckpointNotFound(f"{name_or_path}: no {CONFIG_NAME} there")
        values = read_json_object(path)
        try:
            return cls.from_dict(values)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def unlike(self, values: Mapping[str, Any]) -> dict[str, str]:
        """{special token: what a `config.json` (`values`) and these settings, read beside it, say of it} where the two do
        not say the same."""
        found = {}
        for name in SPECIAL_TOKENS:
            own, here = values.get(name), getattr(self, name)
            if own is not None and here is not None and _as_list(own) != _as_list(here):
                counts = "config.json" if self.from_model_config else CONFIG_NAME
                found[name] = f"{own!r} in config.json, {here!r} in {CONFIG_NAME}: that of {counts} counts"
        return found

    def to_dict(self) -> dict[str, Any]:
        """What is written: the settings that differ from the defaults, and what was unknown."""
        defaults = GenerationConfig()
        values = {
            f.name: getattr(self, f.name)
            for f in dataclasses.fields(self)
            if f.name not in ("extras", "from_model_config") and getattr(self, f.name) != getattr(defaults, f.name)
        }
        if isinstance(self.sequence_bias, dict):  # JSON has no keys of several tokens
            values["sequence_bias"] = [[list(tokens), bias] for tokens, bias in self.sequence_bias.items()]
        marker = {"_from_model_config": True} if self.from_model_config else {}
        return {**self.extras, **values, **marker}

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `generation_config.json` into `folder`."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        write_text(Path(folder) / CONFIG_NAME, json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n")


_OF_A_CONFIGURATION = frozenset(
    (
        *("max_length", "min_length", "do_sample", "num_beams", "num_beam_groups", "num_return_sequences"),
        *("length_penalty", "diversity_penalty", "early_stopping", "no_repeat_ngram_size", "repetition_penalty"),
        *("encoder_no_repeat_ngram_size", "temperature", "top_k", "top_p", "typical_p", "bad_words_ids"),
        *("suppress_tokens", "begin_suppress_tokens", "exponential_decay_length_penalty", "remove_invalid_values"),
        *("return_dict_in_generate", "output_scores", "forced_bos_token_id", "forced_eos_token_id"),
    )
)
"""Settings that a model's configuration may carry too."""


def _as_list(tokens: int | list[int]) -> list[int]:
    return [tokens] if isinstance(tokens, int) else list(tokens)


def _may_be_none(name: str) -> bool:
    """Whether None is a value of a setting: it is the default, and no token is missing where it stands."""
    return name not in SPECIAL_TOKENS and getattr(GenerationConfig, name) is None


def _carried(config: Any, name: str) -> Any:
    """What a configuration says of a setting, or where that is the default what the decoder's inside of it says."""
    own, inside = (vars(c).get(name) if c is not None else None for c in (config, getattr(config, "decoder", None)))
    return inside if own in (None, getattr(GenerationConfig, name)) and inside is not None else own


SPECIAL_TOKENS = ("bos_token_id", "pad_token_id", "eos_token_id", "decoder_start_token_id")


def resolve(
    base: GenerationConfig, model_config: Any, given: dict[str, Any], needs_start: bool = True
) -> GenerationConfig:
    """The settings of one call: argument > generation config > config > config.decoder > bos (pad: > eos).

    An argument of None is as good as none, except where None switches a setting off (`forced_eos_token_id`), as published.
    Raises ValueError for settings that are unknown, not available or at odds, and where no start token is left that is needed.
    """
    given = dict(given)
    _check_available(base, model_config, given)
    known = {f.name for f in dataclasses.fields(GenerationConfig)} - {"extras", "from_model_config"}
    unknown = sorted(given.keys() - known)
    if unknown:
        raise ValueError(
            f"generate: unknown settings {', '.join(unknown)}, expected some of {', '.join(sorted(known))}"
        )
    given = {name: value for name, value in given.items() if value is not None or _may_be_none(name)}
    settings = dataclasses.replace(base, **given)
    validation.expect_used(settings, given)
    decoder = getattr(model_config, "decoder", None)
    for name in SPECIAL_TOKENS:
        if given.get(name) is not None:
            continue
        own = getattr(model_config, name, None)
        first, second = (own, getattr(base, name)) if base.from_model_config else (getattr(base, name), own)
        choices = (first, second, getattr(decoder, name, None))
        setattr(settings, name, next((c for c in choices if c is not None), None))
    if settings.decoder_start_token_id is None:
        settings.decoder_start_token_id = settings.bos_token_id
    if settings.decoder_start_token_id is None and needs_start:
        raise ValueError(
            "decoder_start_token_id: expected one in the call, generation_config, config or config.decoder, or a "
            "bos_token_id there; got none"
        )
    if settings.pad_token_id is None and settings.eos_token_ids:
        settings.pad_token_id = settings.eos_token_ids[0]
    return settings


def _check_available(base: GenerationConfig, model_config: Any, given: dict[str, Any]) -> None:
    """Take published settings that are not available out of `given`; ValueError where one would change the output.

    What a file or a configuration asks for is overridden by the call: `guidance_scale=1.0`, ...
    """
    elsewhere = {**(vars(model_config) if base.from_model_config else {}), **base.extras}
    for name, default in UNAVAILABLE.items():
        value = given.pop(name, elsewhere.get(name))
        if value and value != default:
            raise ValueError(f"{name}: expected {default!r} (it is not available), got {value!r}")
