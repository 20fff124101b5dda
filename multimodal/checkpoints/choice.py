"""Which file of a checkpoint is read where it has several: what published keywords of loading say about it."""

from __future__ import annotations

from typing import Any

from multimodal.checkpoints.formats import registry

KEYWORDS = ("from_pt", "from_tf", "from_flax", "use_safetensors", "variant")
_SAFE, _PYTORCH, _TENSORFLOW, _FLAX = (
    registry.of_name(name).file for name in ("safetensors", "pt-bin", "tf-h5", "flax-msgpack")
)


def split(keywords: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the keywords of `files_in_order`, all others)."""
    chosen = {name: value for name, value in keywords.items() if name in KEYWORDS}
    return chosen, {name: value for name, value in keywords.items() if name not in KEYWORDS}


def files_in_order(
    from_pt: bool = False,
    from_tf: bool = False,
    from_flax: bool = False,
    use_safetensors: bool | None = None,
    variant: str | None = None,
) -> tuple[str, ...]:
    """The published file names in the order in which a folder is searched; the first that is there is read.

    `from_pt`, `from_tf` and `from_flax` put that framework's own file first; every other is still read where it is not
    there. `use_safetensors`: nothing but safetensors, or anything else. `variant`: None, for a checkpoint has one set of
    tensors. Errors: ValueError.
    """
    if variant is not None:
        raise ValueError(
            f"variant: expected None (`dtype` casts what a checkpoint holds; another set of tensors has a folder of its "
            f"own), got {variant!r}"
        )
    if use_safetensors:
        return (_SAFE,)
    first = [file for file, wanted in ((_TENSORFLOW, from_tf), (_FLAX, from_flax)) if wanted]
    first += [_SAFE, _PYTORCH] if from_pt else []
    order = dict.fromkeys((*first, *registry.FILES))
    return tuple(file for file in order if use_safetensors is None or file != _SAFE)
