"""What a job is: subjects (a model, a tokenizer, ...), and calls, each some lines of Python about one of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from multimodal.registry import PREFIXES

NEUTRAL = "neutral"
FRAMEWORKS = (*PREFIXES, NEUTRAL)


@dataclass(frozen=True)
class Call:
    """One call: it is `code` whose last expression is compared. Framework, subject and name are unique together."""

    framework: str
    group: str
    subject: str
    name: str
    code: str

    @property
    def identity(self) -> str:
        return f"{self.framework}/{self.group}/{self.subject}/{self.name}"


@dataclass
class Job:
    """What both libraries are asked; `subjects` is {name: what `caller.KINDS` makes of it}."""

    subjects: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    def add(self, framework: str, group: str, subject: str, codes: dict[str, str]) -> None:
        """Calls of one subject in one framework: {name: code}."""
        self.calls += [Call(framework, group, subject, name, code) for name, code in codes.items()]

    def as_json(self) -> dict[str, Any]:
        """What `caller.py` reads."""
        calls = [{**vars(call), "identity": call.identity} for call in self.calls]
        return {"subjects": self.subjects, "calls": calls}


def calls_of(job: dict[str, Any]) -> list[Call]:
    """The calls that `as_json` gave."""
    return [Call(**{name: value for name, value in call.items() if name != "identity"}) for call in job["calls"]]
