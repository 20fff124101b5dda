"""What the Auto classes of the backends share."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from multimodal import hub, registry
from multimodal.auto import AutoConfig
from multimodal.configs.base import PretrainedConfig


def auto_classes(backend: str) -> dict[str, type]:
    """{public name: class} of one backend, one for each of `registry.MODEL_AUTO`."""
    prefix, module = registry.PREFIXES[backend], f"multimodal.{backend}.auto"
    return {
        prefix + name: type(
            prefix + name,
            (AutoModelBase,),
            {
                "__doc__": f"{what} of a checkpoint's architecture.",
                "__module__": module,
                "backend": backend,
                "auto_class": name,
            },
        )
        for name, what in registry.MODEL_AUTO.items()
    }


class AutoModelBase:
    """Chooses the class by the configuration's model_type."""

    backend: ClassVar[str]
    auto_class: ClassVar[str]

    def __init__(self) -> None:
        name = type(self).__name__
        raise ValueError(f"{name}: use {name}.from_pretrained(name_or_path) or {name}.from_config(config)")

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, *model_args: Any, **kwargs: Any) -> Any:
        """Load a checkpoint as the class of its architecture; keywords as in that class's `from_pretrained`."""
        config = kwargs.get("config")
        if config is None:
            hub_options, _ = hub.split_options(kwargs)
            config = kwargs["config"] = AutoConfig.from_pretrained(name_or_path, **hub_options)
        return cls._class_for(config).from_pretrained(name_or_path, *model_args, **kwargs)

    @classmethod
    def from_config(cls, config: PretrainedConfig, **kwargs: Any) -> Any:
        """A fresh model of a configuration's architecture."""
        return cls._class_for(config)(config, **kwargs)

    @classmethod
    def _class_for(cls, config: Any) -> type:
        return registry.model_class(cls.backend, registry.model_name(cls.auto_class, config))
