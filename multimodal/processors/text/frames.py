"""How special tokens frame a text or a pair: in the engine, and for ids that were made elsewhere."""

from __future__ import annotations

from typing import Any

from tokenizers import Tokenizer, processors

from multimodal.processors.text.inputs import read_ids

# ("A", type) and ("B", type) are the texts, other names special tokens; each with its token type.
Frame = tuple[tuple[str, int], ...]


class Frames:
    """The part of a tokenizer that knows its frames. Subclasses hold the `engine` and the special tokens."""

    engine: Tokenizer
    frame: Frame = (("A", 0),)
    pair_frame: Frame = (("A", 0), ("B", 1))

    def _present(self, frame: Frame) -> Frame:
        """The frame without the special tokens that the tokenizer does not have."""
        return tuple(part for part in frame if part[0] in "AB" or getattr(self, f"{part[0]}_token_id") is not None)

    def _post_processor(self) -> Any:
        """What frames the texts in the engine."""
        single, pair = self._present(self.frame), self._present(self.pair_frame)
        names = dict.fromkeys(name for name, _ in (*single, *pair) if name not in "AB")
        return processors.TemplateProcessing(
            single=[_piece(name, kind) for name, kind in single],
            pair=[_piece(name, kind) for name, kind in pair],
            special_tokens=[
                {
                    "id": name,
                    "ids": [getattr(self, f"{name}_token_id")],
                    "tokens": [getattr(self, f"{name}_token")],
                }
                for name in names
            ],
        )

    def _framed_ids(self, first: list[int], second: list[int] | None) -> list[tuple[list[int], int, int]]:
        """(ids, token type, whether special) for each part of the frame."""
        texts = {"A": first, "B": second}
        frame = self.frame if second is None else self.pair_frame
        return [
            (texts[name], kind, 0) if name in texts else ([getattr(self, f"{name}_token_id")], kind, 1)
            for name, kind in self._present(frame)
        ]

    def build_inputs_with_special_tokens(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """The ids of a text or pair with the special tokens around them."""
        return [i for ids, _, _ in self._framed_ids(token_ids_0, token_ids_1) for i in ids]

    def create_token_type_ids_from_sequences(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """The token types of what `build_inputs_with_special_tokens` returns."""
        return [kind for ids, kind, _ in self._framed_ids(token_ids_0, token_ids_1) for _ in ids]

    def get_special_tokens_mask(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None, already_has_special_tokens: bool = False
    ) -> list[int]:
        """1 for the special tokens that `build_inputs_with_special_tokens` adds, 0 for the texts' own.

        With `already_has_special_tokens`, of ids as they are: 1 for every id of a special token.
        """
        token_ids_0 = read_ids(token_ids_0, "token_ids_0")
        if already_has_special_tokens:
            if token_ids_1 is not None:
                raise ValueError("token_ids_1: expected None with already_has_special_tokens=True, got a list")
            special = set(self.all_special_ids)  # pyright: ignore - SpecialTokens has it
            return [int(i in special) for i in token_ids_0]
        token_ids_1 = None if token_ids_1 is None else read_ids(token_ids_1, "token_ids_1")
        return [special for ids, _, special in self._framed_ids(token_ids_0, token_ids_1) for _ in ids]


def _piece(name: str, kind: int) -> str:
    """A part of a frame in the engine's notation."""
    return f"${name}:{kind}" if name in ("A", "B") else f"{name}:{kind}"
