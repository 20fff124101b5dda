"""How to generate: the published settings, and which of several places each comes from."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Self

from multimodal import hub
from multimodal.configs.types import expect_types
from multimodal.files import read_json_object, write_text
from multimodal.publishing import Publishable

CONFIG_NAME = "generation_config.json"
OF_SAMPLING = {
    "temperature": 1.0, "top_k": 50, "top_p": 1.0, "min_p": None,
    "typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0,
}  # fmt: skip
"""{published setting that only counts while sampling: its default}."""
UNAVAILABLE = {
    "num_beam_groups": 1, "diversity_penalty": 0.0, "penalty_alpha": None, "min_new_tokens": None, "max_time": None,
    "stop_strings": None, "encoder_no_repeat_ngram_size": 0, "encoder_repetition_penalty": 1.0, "guidance_scale": 1.0,
    "bad_words_ids": None, "force_words_ids": None, "constraints": None, "sequence_bias": None, "suppress_tokens": None,
    "begin_suppress_tokens": None, "forced_decoder_ids": None, "exponential_decay_length_penalty": None,
    "renormalize_logits": False, "remove_invalid_values": False, "watermarking_config": None, "token_healing": False,
    "dola_layers": None,
}  # fmt: skip
"""{published setting that `generate` does not have yet: its default}. Files keep them."""


@dataclasses.dataclass
class GenerationConfig(Publishable):
    """Settings of `generate` under their published names. Unknown keys of a file are kept in `extras`.

    Settings that are published but not available yet, sampling among them, are kept too: `generate` refuses them.
    """

    max_length: int = 20
    max_new_tokens: int | None = None
    min_length: int = 0
    do_sample: bool = False
    num_beams: int = 1
    num_return_sequences: int = 1
    length_penalty: float = 1.0
    early_stopping: bool | str = False
    no_repeat_ngram_size: int = 0
    repetition_penalty: float = 1.0
    use_cache: bool = True
    return_dict_in_generate: bool = False
    output_scores: bool = False
    bos_token_id: int | None = None
    pad_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    decoder_start_token_id: int | None = None
    forced_bos_token_id: int | None = None
    forced_eos_token_id: int | None = None
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
            own = vars(config).get(name)
            untouched = value == (self._made[name] if self.from_model_config else getattr(defaults, name))
            if untouched and own not in (None, getattr(defaults, name)):
                changes[name] = own
        found = dataclasses.replace(self, **changes)
        found._made = self._made
        return found

    def validate(self) -> None:
        """Raise ValueError for settings that mean nothing."""
        for name in ("max_length", "num_beams", "num_return_sequences"):
            _expect(name, getattr(self, name), "a positive integer", lambda v: isinstance(v, int) and v > 0)
        if self.max_new_tokens is not None:
            _expect("max_new_tokens", self.max_new_tokens, "a positive integer", lambda v: isinstance(v, int) and v > 0)
        for name in ("min_length", "no_repeat_ngram_size"):
            _expect(name, getattr(self, name), "an integer of at least 0", lambda v: isinstance(v, int) and v >= 0)
        _expect(
            "repetition_penalty",
            self.repetition_penalty,
            "a positive number",
            lambda v: isinstance(v, int | float) and v > 0,
        )
        _expect("early_stopping", self.early_stopping, "True, False or 'never'", lambda v: v in (True, False, "never"))
        _expect("do_sample", self.do_sample, "True or False", lambda v: v in (True, False, None))
        expect_types(self, {})
        if self.num_return_sequences > self.num_beams and not self.do_sample:
            raise ValueError(
                f"num_return_sequences: expected at most num_beams ({self.num_beams}), got {self.num_return_sequences}"
            )

    @property
    def eos_token_ids(self) -> list[int]:
        """Every token that ends a sequence."""
        if self.eos_token_id is None:
            return []
        return [self.eos_token_id] if isinstance(self.eos_token_id, int) else list(self.eos_token_id)

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
        """The settings that a model's configuration carries."""
        names = {f.name for f in dataclasses.fields(cls)} - {"extras", "from_model_config", "use_cache"}
        values = {n: vars(config)[n] for n in names if vars(config).get(n) is not None}
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

    def to_dict(self) -> dict[str, Any]:
        """What is written: the settings that differ from the defaults, and what was unknown."""
        defaults = GenerationConfig()
        values = {
            f.name: getattr(self, f.name)
            for f in dataclasses.fields(self)
            if f.name not in ("extras", "from_model_config") and getattr(self, f.name) != getattr(defaults, f.name)
        }
        marker = {"_from_model_config": True} if self.from_model_config else {}
        return {**self.extras, **values, **marker}

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `generation_config.json` into `folder`."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        write_text(Path(folder) / CONFIG_NAME, json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n")


_OF_A_CONFIGURATION = frozenset(
    (
        *("max_length", "min_length", "do_sample", "num_beams", "num_return_sequences", "length_penalty"),
        *("early_stopping", "no_repeat_ngram_size", "repetition_penalty", "return_dict_in_generate", "output_scores"),
        *("forced_bos_token_id", "forced_eos_token_id"),
    )
)
"""Settings that a model's configuration may carry too."""
SPECIAL_TOKENS = ("bos_token_id", "pad_token_id", "eos_token_id", "decoder_start_token_id")


def resolve(
    base: GenerationConfig, model_config: Any, given: dict[str, Any], needs_start: bool = True
) -> GenerationConfig:
    """The settings of one call: argument > generation config > config > config.decoder > bos (pad: > eos).

    Raises ValueError for settings that are unknown or not available, and where no start token is left that is needed.
    """
    given = dict(given)
    _check_available(base, model_config, given)
    known = {f.name for f in dataclasses.fields(GenerationConfig)} - {"extras", "from_model_config"}
    unknown = sorted(given.keys() - known)
    if unknown:
        raise ValueError(
            f"generate: unknown settings {', '.join(unknown)}, expected some of {', '.join(sorted(known))}"
        )
    settings = dataclasses.replace(base, **{k: v for k, v in given.items() if v is not None})
    if settings.output_scores:
        raise ValueError("output_scores: expected False (the scores of every step are not available yet), got True")
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

    What a file or a configuration asks for is overridden by the call: `do_sample=False`, `num_beam_groups=1`, ...
    """
    sample = base.do_sample if given.get("do_sample") is None else given["do_sample"]
    if sample:
        raise ValueError(f"do_sample: expected False (sampling is not available yet), got {sample!r}")
    elsewhere = {**(vars(model_config) if base.from_model_config else {}), **base.extras}
    for name, default in (*OF_SAMPLING.items(), *UNAVAILABLE.items()):
        value = given.pop(name, None if name in OF_SAMPLING else elsewhere.get(name))
        if value and value != default:
            why = "it needs sampling, which" if name in OF_SAMPLING else "it"
            raise ValueError(f"{name}: expected {default!r} ({why} is not available yet), got {value!r}")


def _expect(name: str, value: Any, wanted: str, holds: Any) -> None:
    if not holds(value):
        raise ValueError(f"{name}: expected {wanted}, got {value!r}")
