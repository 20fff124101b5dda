"""How to generate: the published settings, and which of several places each comes from."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Self

from multimodal import hub
from multimodal.files import write_text

CONFIG_NAME = "generation_config.json"


@dataclasses.dataclass
class GenerationConfig:
    """Settings of `generate` under their published names. Unknown keys of a file are kept in `extras`."""

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

    def validate(self) -> None:
        """Raise ValueError for settings that mean nothing, or that cannot be had yet."""
        for name in ("max_length", "num_beams", "num_return_sequences"):
            _expect(name, getattr(self, name), "a positive integer", lambda v: isinstance(v, int) and v > 0)
        if self.max_new_tokens is not None:
            _expect("max_new_tokens", self.max_new_tokens, "a positive integer", lambda v: isinstance(v, int) and v > 0)
        for name in ("min_length", "no_repeat_ngram_size"):
            _expect(name, getattr(self, name), "an integer of at least 0", lambda v: isinstance(v, int) and v >= 0)
        _expect("repetition_penalty", self.repetition_penalty, "a positive number", lambda v: v > 0)
        _expect("early_stopping", self.early_stopping, "True, False or 'never'", lambda v: v in (True, False, "never"))
        _expect("do_sample", self.do_sample, "False: sampling is not available", lambda v: not v)
        if self.num_return_sequences > self.num_beams:
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
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
        except (UnicodeDecodeError, json.JSONDecodeError, TypeError) as error:
            raise ValueError(f"{path}: expected a JSON object of generation settings, got {error}") from error

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


SPECIAL_TOKENS = ("bos_token_id", "pad_token_id", "eos_token_id", "decoder_start_token_id")


def resolve(
    base: GenerationConfig, model_config: Any, given: dict[str, Any], needs_start: bool = True
) -> GenerationConfig:
    """The settings of one call: argument > generation config > config > config.decoder > bos (pad: > eos).

    Raises ValueError for unknown settings, and where no start token is left that is needed.
    """
    known = {f.name for f in dataclasses.fields(GenerationConfig)} - {"extras", "from_model_config"}
    unknown = sorted(given.keys() - known)
    if unknown:
        raise ValueError(
            f"generate: unknown settings {', '.join(unknown)}, expected some of {', '.join(sorted(known))}"
        )
    settings = dataclasses.replace(base, **{k: v for k, v in given.items() if v is not None})
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


def _expect(name: str, value: Any, wanted: str, holds: Any) -> None:
    if not holds(value):
        raise ValueError(f"{name}: expected {wanted}, got {value!r}")
