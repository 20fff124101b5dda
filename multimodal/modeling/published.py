"""Published names at the door: what a tensor that a user holds is called in published checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from multimodal.checkpoints import names
from multimodal.checkpoints.layout import from_backend, to_backend
from multimodal.checkpoints.names import Row


class PublishedNames:
    """A part of `ModelBase`: tensors by their published names. Hooks: `_shown(name)`, `_tensor(array)`."""

    def published_names(self) -> dict[str, str]:
        """{a tensor's name as the framework shows it: its published name}, for rules that go by published names.

        The framework shows it in PyTorch by `named_parameters()` and `state_dict()`, in Keras by `variable.path`, in Flax by
        `flatten_dict(params, sep="/")`. Tied tensors have the same published name.
        """
        return {self._shown(row.name): row.published for row in self.rows()}

    def published_state_dict(self) -> dict[str, Any]:
        """{published name: tensor in the published layout}, copies in the framework's own type."""
        return {name: self._tensor(array) for name, array in self.published_tensors().items()}

    def published_tensors(self, fetched: Mapping[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """{published name: array in the published layout} of every tensor; a tied one goes by its first name.

        `fetched`: {our name: array in the backend's layout} in the place of the model's own.
        """
        fetched = self._fetch() if fetched is None else fetched
        groups: dict[str, list[Row]] = {}
        for row in self.rows():
            groups.setdefault(row.published, []).append(row)
        return {
            published: names.pack(rows, [from_backend(fetched[r.name], r.kind, self.backend) for r in rows])
            for published, rows in groups.items()
        }

    def _shown_arrays(self, tensors: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """{our name: array} of tensors by the names that the framework shows; ValueError for others, missing or misshapen."""
        self._expect_all("state_dict", tensors)
        return {row.name: self._numpy(tensors[self._shown(row.name)]) for row in self.rows()}

    def _expect_all(self, what: str, tensors: Mapping[str, Any]) -> None:
        """ValueError unless there is each tensor of the class, by the name that the framework shows, and no other."""
        own = {self._shown(row.name): row for row in self.rows()}
        missing, unknown = own.keys() - tensors.keys(), tensors.keys() - own.keys()
        if missing or unknown:
            raise ValueError(
                f"{what}: expected the {len(own)} tensors of {type(self).__name__}, got {len(tensors)}"
                f"{_some(' without', missing)}{_some(', and unknown', unknown)}"
            )
        for shown, row in own.items():
            wanted, shape = self._shape(row), tuple(np.shape(tensors[shown]))
            if shape != wanted:
                raise ValueError(f"{what}: expected shape {wanted} of {shown}, got {shape}")

    def _shape(self, row: Row) -> tuple[int, ...]:
        """The shape of a tensor in the backend's layout."""
        return to_backend(np.broadcast_to(np.int8(0), row.shape), row.kind, self.backend).shape

    def _shown_params(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """{name that the framework shows: array} of a tree of parameters, which only Flax has."""
        raise ValueError(f"params: expected None (only Flax has trees of parameters), got a {type(params).__name__}")

    def _shown(self, name: str) -> str:
        """What the framework calls a tensor that we call `name`."""
        raise NotImplementedError

    @staticmethod
    def _numpy(tensor: Any) -> np.ndarray:
        """A tensor's values in its own type, bfloat16 too."""
        return np.asarray(tensor)

    def _tensor(self, array: np.ndarray) -> Any:
        """A tensor of the framework with a copy of an array's values."""
        raise NotImplementedError


def _some(what: str, names: set[str]) -> str:
    return f"{what} {', '.join(sorted(names)[:3])}{', ...' if len(names) > 3 else ''}" if names else ""


def loading_info(report: Any) -> dict[str, list]:
    """A load report under the published keys of `from_pretrained(..., output_loading_info=True)`."""
    return {
        "missing_keys": list(report.fresh),
        "unexpected_keys": list(report.unused),
        "mismatched_keys": [(name, got, expected) for name, (got, expected) in report.mismatched.items()],
        "error_msgs": [],
    }


def is_published(given: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    """Whether a state dict goes by published names: most of its keys are none of the model's own."""
    return sum(name in own for name in given) * 2 < len(given)
