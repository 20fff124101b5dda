"""Chat templates: a conversation as one text, by a Jinja template that comes with the checkpoint.

A template is a program of somebody else's: it runs in Jinja's immutable sandbox, and what it may build is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, NoReturn

from multimodal.processors.shown import reason, shown

_LARGEST = 10_000_000
"""Characters or items that one operation of a template may make."""

Template = str | dict[str, str] | None


def checked_template(value: Any, name: str = "chat_template") -> Template:
    """A template, or several by name, from either form that files hold. ValueError for anything else."""
    if isinstance(value, list | tuple) and all(isinstance(item, Mapping) for item in value):
        value = {item.get("name"): item.get("template") for item in value}
    if isinstance(value, Mapping) and value:
        if all(isinstance(part, str) for pair in value.items() for part in pair):
            return dict(value)
    elif value is None or isinstance(value, str):
        return value
    raise ValueError(f"{name}: expected a Jinja template, or templates by name, got {shown(value)}")


def written_template(template: Template) -> str | list[dict[str, str]] | None:
    """The form of a template in `tokenizer_config.json`."""
    if isinstance(template, dict):
        return [{"name": name, "template": text} for name, text in template.items()]
    return template


class Chat:
    """The part of a tokenizer that writes conversations out."""

    name_or_path: str
    special_tokens_map: Any
    _chat_template: Template = None
    _TOKENIZER_OPTIONS: ClassVar[tuple[str, ...]] = ("padding", "truncation", "max_length", "return_tensors")

    @property
    def chat_template(self) -> Template:
        """The Jinja template that `apply_chat_template` fills in, or several by name; None where there is none."""
        return self._chat_template

    @chat_template.setter
    def chat_template(self, value: Any) -> None:
        self._chat_template = checked_template(value)

    def apply_chat_template(
        self,
        conversation: Any,
        chat_template: str | None = None,
        add_generation_prompt: bool = False,
        tokenize: bool = True,
        padding: bool | str = False,
        truncation: bool | str = False,
        max_length: int | None = None,
        return_tensors: str | None = None,
        return_dict: bool = False,
        tokenizer_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """The ids of a conversation, or of a batch of them: the template filled in, then tokenised as it stands.

        `conversation` is a list of messages ({"role": ..., "content": ...}); `chat_template` a template, or the name of
        one of the tokenizer's. The template sees `messages`, `add_generation_prompt`, the special tokens by their
        attributes' names, and `kwargs`. `tokenize=False` gives the text, `return_dict=True` all fields of a call.
        Errors: ValueError, also for what goes wrong inside the template.
        """
        if return_dict and not tokenize:
            raise ValueError("return_dict: expected False with tokenize=False (a text has no fields), got True")
        if not isinstance(tokenizer_kwargs, Mapping | None):
            raise ValueError(f"tokenizer_kwargs: expected a dict of options of a call, got {shown(tokenizer_kwargs)}")
        conversations, batched = _conversations(conversation)
        template = self._chosen_template(chat_template)
        values = {**self.special_tokens_map, **kwargs, "add_generation_prompt": add_generation_prompt}
        texts = [_rendered(template, {**values, "messages": messages}) for messages in conversations]
        if not tokenize:
            return texts if batched else texts[0]
        options = {"padding": padding, "truncation": truncation, "max_length": max_length}
        options |= {"return_tensors": return_tensors, "add_special_tokens": False, **(tokenizer_kwargs or {})}
        output = self(texts if batched else texts[0], **options)  # pyright: ignore - the tokenizer has the call
        return output if return_dict else output["input_ids"]

    def _chosen_template(self, given: str | None) -> str:
        own = self._chat_template
        if given is not None:
            if not isinstance(given, str):
                raise ValueError(f"chat_template: expected a Jinja template or the name of one, got {shown(given)}")
            return own.get(given, given) if isinstance(own, dict) else given
        if own is None:
            raise ValueError(
                f"chat_template: expected one, got none: {type(self).__name__} of {shown(self.name_or_path)} came without "
                "a chat template; set tokenizer.chat_template, or pass chat_template"
            )
        if isinstance(own, dict):
            if "default" not in own:
                raise ValueError(
                    f"chat_template: expected a name among {shown(list(own))} (none is 'default'), got None"
                )
            return own["default"]
        return own


def _conversations(conversation: Any) -> tuple[list[Any], bool]:
    """(conversations, whether there were several). Errors: ValueError that names the message."""
    conversation = getattr(conversation, "messages", conversation)
    if not isinstance(conversation, list | tuple):
        raise ValueError(f"conversation: expected a list of messages, got {shown(conversation)}")
    items = [getattr(item, "messages", item) for item in conversation]
    batched = bool(items) and isinstance(items[0], list | tuple)
    for i, messages in enumerate(items if batched else [items]):
        place = f"conversation[{i}]" if batched else "conversation"
        if not isinstance(messages, list | tuple):
            raise ValueError(f"{place}: expected a list of messages, got {shown(messages)}")
        for k, message in enumerate(messages):
            if not isinstance(message, Mapping):
                raise ValueError(f"{place}[{k}]: expected a message (role and content), got {shown(message)}")
    return (items, True) if batched else ([items], False)


def _rendered(template: str, values: dict[str, Any]) -> str:
    try:
        return _compiled(template).render(**values)
    except Exception as error:  # a template is a program: what goes wrong in it may be anything
        raise ValueError(f"chat_template: {type(error).__name__}: {reason(error)} (in {shown(template)})") from error


@lru_cache(maxsize=32)
def _compiled(template: str) -> Any:
    return _environment().from_string(template)


@lru_cache(maxsize=1)
def _environment() -> Any:
    from jinja2.exceptions import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Environment(ImmutableSandboxedEnvironment):
        """The sandbox, in which no single operation fills the memory."""

        intercepted_binops = frozenset({"*", "**", "%"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if _too_large(operator, left, right):
                raise TemplateError(f"the result of {operator!r} is too large")
            return super().call_binop(context, operator, left, right)

    def raise_exception(message: str) -> NoReturn:
        raise TemplateError(message)

    environment = Environment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = raise_exception
    return environment


def _too_large(operator: str, left: Any, right: Any) -> bool:
    if operator == "%":
        return isinstance(left, str) and re.search(r"\d{5}|\*", left) is not None  # a width makes any length
    if operator == "**":
        return isinstance(right, int) and isinstance(left, int) and left.bit_length() * abs(right) > 10_000
    many, times = (left, right) if hasattr(left, "__len__") else (right, left)
    return hasattr(many, "__len__") and isinstance(times, int) and len(many) * times > _LARGEST
