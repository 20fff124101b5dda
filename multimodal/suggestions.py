"""Errors for names with a slip: what is unknown, and which known name was probably meant."""

from __future__ import annotations

from collections.abc import Iterable

MOST_SHOWN = 16
"""Names in a message."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'known'?` where a known name is close, whatever the case of its letters; else nothing."""
    import difflib

    lowered: dict[str, str] = {}
    for other in known:
        lowered.setdefault(other.lower(), other)
    close = difflib.get_close_matches(str(name).lower(), lowered, n=1, cutoff=0.7)
    return f"; did you mean {lowered[close[0]]!r}?" if close else ""


def reject_unknown(owner: str, given: Iterable[str], accepted: Iterable[str]) -> None:
    """ValueError, with the closest accepted name, for the first keyword of `given` that `owner` does not take."""
    accepted = list(accepted)
    for name in given:
        if name in accepted:
            continue
        from multimodal.processors.shown import shown

        more = f", ... ({len(accepted)} in all)" if len(accepted) > MOST_SHOWN else ""
        hint = did_you_mean(name, accepted) or f"; it takes {', '.join(accepted[:MOST_SHOWN])}{more}"
        raise ValueError(f"{owner}: unknown argument {shown(name)}{hint}")
