"""Generation in this backend: an eager loop over a cache of fixed size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from multimodal.generation import arguments, plans, search, streaming
from multimodal.generation.config import GenerationConfig
from multimodal.generation.plans import Plan
from multimodal.generation.selection import Drawn
from multimodal.modeling.outputs import GenerateOutput
from multimodal.modeling.structures import NetworkOutput
from multimodal.numeric.gumbel import gumbel
from multimodal.pt.annotations import Tensor
from multimodal.pt.caching import empty_cache, reorder, visible_at
from multimodal.pt.warping import FORMS
from multimodal.pt.weights import from_numpy, to_numpy


class Prompted(NamedTuple):
    """What one generation goes on from."""

    decoder: Any
    """A public model."""
    given: dict[str, Any]
    """Tensors (batch, ...) that the decoder gets at each step."""
    prompt: Any
    """(batch, start)"""
    mask: Any = None
    """(batch, start), or None"""
    encoded: NetworkOutput | None = None
    """Of a composite: what its encoder says."""


class GenerationMixin:
    """`generate` and `stream`, whatever the prompt is; a class that has one says what it is (`_prompted`)."""

    @torch.no_grad()
    def generate(
        self, inputs: Tensor | None = None, generation_config: GenerationConfig | None = None, **kwargs: Any
    ) -> Tensor | GenerateOutput:
        """Token ids (rows, length): the prompt, what follows, pads. Exact ties go to the lowest id.

        `inputs`, also by their own names: images `pixel_values` (batch, channels, height, width), or token ids `input_ids`
        (batch, start); without ids one row goes on from the start token. Other keywords are

        - settings (`GenerationConfig`);
        - `seed` for `do_sample=True`: the same seed draws the same tokens in every backend (without one, one is drawn from
          the framework's own generator);
        - `logits_processor`, functions (tokens, scores) -> scores, and `stopping_criteria`, functions (tokens, scores) ->
          True where a row stops, both of NumPy arrays;
        - `prefix_allowed_tokens_fn`: (row, tokens) -> the tokens that may follow, or a `Trie` or `Pattern`;
        - `assistant_model`, a smaller model of the same vocabulary that guesses tokens; `streamer`, which gets each token;
          `watcher`, called with each step (`generation.search.Step`: logits and attentions, arrays) before its token is there;
          `tokenizer`, which `stop_strings` are read with;
        - for images `decoder_input_ids` as a prompt (the start token is put in front where no row begins with it), their
          `decoder_attention_mask`, `encoder_outputs`, and arguments of the encoder; for text the prompt's `attention_mask`
          (without one, its padding is hidden), and `encoder_hidden_states` with their mask.

        With `return_dict_in_generate=True` a `GenerateOutput`. Errors: ValueError naming what was expected.
        """
        call, prompted = self._generation_call(inputs, generation_config, kwargs)
        plan = planned(prompted, call)
        output = found(prompted, plan, self._assistant(call, inputs, kwargs))
        if not call.settings.return_dict_in_generate:
            return output["sequences"]
        return GenerateOutput(**arguments.named(output, prompted.encoded, call.settings))

    def stream(
        self, inputs: Tensor | None = None, generation_config: GenerationConfig | None = None, **kwargs: Any
    ) -> Iterator[Any]:
        """What `generate` would give, while it is generated.

        Tokens (rows,), one after the other; with `tokenizer=` pieces of text, a text for one row and a list of them for
        several. Arguments and errors as `generate` (one beam alone).
        """
        with torch.no_grad():
            call, prompted = self._generation_call(inputs, generation_config, kwargs)
            arguments.expect_streamable(call.settings)
            plan, helper = planned(prompted, call), self._assistant(call, inputs, kwargs)
            steps = steppers(prompted, plan, helper)
        prompt = prompted.prompt.numpy(force=True)
        tokens = search.tokens(steps[0], prompt, plan, assistant=steps[1])
        if call.extras.tokenizer is None:
            device = prompted.prompt.device
            return (torch.from_numpy(chosen).to(device) for chosen in tokens)
        return streaming.texts(tokens, call.extras.tokenizer, plan.sequences, plan.ends)

    def _generation_call(self, inputs, generation_config, kwargs: dict[str, Any]) -> tuple[arguments.Call, Prompted]:
        """The call, sorted, and what it goes on from."""
        main, kwargs = arguments.main_input(self, inputs, kwargs)
        call = arguments.split(self, generation_config, kwargs, needs_start=self._needs_start(main))
        return call, self._prompted(main, call)

    def _assistant(self, call: arguments.Call, inputs, kwargs: dict[str, Any]) -> Prompted | None:
        """What the assistant goes on from: the same, read by itself."""
        helper = call.extras.assistant_model
        if helper is None:
            return None
        arguments.expect_assistant(self, helper)
        own = {name: value for name, value in kwargs.items() if name != "assistant_model"}
        return helper._generation_call(inputs, call.settings, own)[1]

    def _needs_start(self, main) -> bool:
        raise NotImplementedError

    def _prompted(self, main, call: arguments.Call) -> Prompted:
        raise NotImplementedError


class ImageGenerationMixin(GenerationMixin):
    """`generate` for image-to-text models: a decoder goes on from a start token, and attends to an image."""

    def _needs_start(self, main) -> bool:
        return True

    def _prompted(self, main, call: arguments.Call) -> Prompted:
        settings, inputs = call.settings, dict(call.inputs)
        prompt, mask = inputs.pop("decoder_input_ids", None), inputs.pop("decoder_attention_mask", None)
        encoded = self._encoded(main, inputs, settings)
        context = self.network.context(encoded.x)
        arguments.check_prompt(self.decoder, prompt, mask, context.shape[0])
        if prompt is None:
            shape = (context.shape[0], 1)
            prompt = torch.full(shape, settings.decoder_start_token_id, dtype=torch.long, device=context.device)
        elif arguments.lacks_start(prompt.numpy(force=True), settings):
            prompt = torch.nn.functional.pad(prompt, (1, 0), value=settings.decoder_start_token_id)
            mask = None if mask is None else torch.nn.functional.pad(mask, (1, 0), value=1)
        return Prompted(self.decoder, {"encoder_hidden_states": context}, prompt, mask, encoded)

    def _encoded(self, pixel_values, inputs: dict[str, Any], settings: GenerationConfig) -> NetworkOutput:
        """What the encoder says."""
        encoder_outputs = inputs.pop("encoder_outputs", None)
        encoder_kwargs, decoder_kwargs = self.route(inputs)
        arguments.expect_no_decoder_arguments(decoder_kwargs)
        if encoder_outputs is None:
            self.encoder._check(
                {**encoder_kwargs, "pixel_values": pixel_values},
                interpolate=encoder_kwargs.get("interpolate_pos_encoding"),
            )
        return self._encode(pixel_values, encoder_outputs, arguments.of_encoder(settings), encoder_kwargs)


class TextGenerationMixin(GenerationMixin):
    """`generate` for causal language models: they go on from a text."""

    def _needs_start(self, main) -> bool:
        return main is None

    def _prompted(self, main, call: arguments.Call) -> Prompted:
        settings, inputs = call.settings, dict(call.inputs)
        arguments.check_text(self, inputs)
        if main is None:
            main = torch.full((1, 1), settings.decoder_start_token_id, dtype=torch.long, device=self.device)
        self._check({"input_ids": main, **inputs})
        mask = inputs.pop("attention_mask", None)
        hidden = arguments.hidden_id(settings)
        if mask is None and hidden is not None:
            mask = (main != hidden).long()
        return Prompted(self, {name: tensor for name, tensor in inputs.items() if tensor is not None}, main, mask)


def planned(prompted: Prompted, call: arguments.Call) -> Plan:
    """The plan of one generation, its seed drawn where none was given."""
    extras, (batch, start) = call.extras, prompted.prompt.shape
    if call.settings.do_sample and extras.seed is None:
        extras = extras._replace(seed=int(torch.randint(2**31 - 1, ())))
    length = arguments.total_length(call.settings, start, arguments.longest(prompted.decoder))
    return plans.make(call.settings, extras, batch, start, length, arguments.vocabulary(prompted.decoder))


def found(prompted: Prompted, plan: Plan, helper: Prompted | None) -> dict[str, Any]:
    """Fields of a `GenerateOutput`, tensors."""
    if plan.is_plain and helper is None:
        return {"sequences": whole(prompted, plan)}
    step, assistant = steppers(prompted, plan, helper)
    output = search.run(step, prompted.prompt.numpy(force=True), plan, assistant)
    return {name: native(value, prompted.prompt.device) for name, value in output.items()}


def native(value, device) -> Any:
    """Arrays, also in tuples, as tensors."""
    if isinstance(value, tuple):
        return tuple(native(item, device) for item in value)
    return from_numpy(value).to(device)


def steppers(prompted: Prompted, plan: Plan, helper: Prompted | None) -> tuple[Stepper, Stepper | None]:
    """The decoder's steps, and its assistant's."""
    assistant = None if helper is None else Stepper(helper, plan)
    return Stepper(prompted, plan, **plan.shown, every=helper is not None), assistant


class Stepper:
    """A decoder with its cache, for `generation.search`."""

    def __init__(
        self, prompted: Prompted, plan: Plan, *, weights: bool = False, states: bool = False, every: bool = False
    ):
        self.model, self.every = prompted.decoder, every
        self.options = {"weights": weights, "states": states}
        self.given, (_, self.mask) = prompted.given, repeated(prompted, plan.copies)
        rows = plan.batch * plan.copies
        self.cache = empty_cache(self.model, rows, plan.positions)

    @torch.no_grad()
    def __call__(self, tokens: np.ndarray, order: np.ndarray | None) -> search.Step:
        device = self.model.device
        if order is not None:
            self.cache = reorder(self.cache, torch.from_numpy(order).to(device))
        new = torch.from_numpy(np.ascontiguousarray(tokens)).to(device)
        shown = visible_at(self.model.config, self.mask, self.cache.position, new.shape[1])
        output = self.model.network(new, **shown, **self.given, cache=self.cache, **self.options)
        self.cache = output.cache
        logits = output.logits if self.every else output.logits[:, -1]
        seen = (output.hidden_states, output.attentions, output.cross_attentions)
        return search.Step(to_numpy(logits), *(None if x is None else tuple(map(to_numpy, x)) for x in seen))

    def rewind(self, tokens: np.ndarray) -> None:
        counted = self.cache.counted
        if counted is not None:
            kept = (tokens != self.model.config.pad_token_id).sum(1, keepdims=True)
            counted = torch.from_numpy(kept).to(counted)
        self.cache = self.cache._replace(position=tokens.shape[1], counted=counted)


def repeated(prompted: Prompted, copies: int) -> tuple[Any, Any]:
    """(the prompt, its mask), each row as often as it has copies; what they attend to is one for all of them."""
    mask = None if prompted.mask is None else prompted.mask.repeat_interleave(copies, 0)
    return prompted.prompt.repeat_interleave(copies, 0), mask


def whole(prompted: Prompted, plan: Plan) -> torch.Tensor:
    """The likeliest, or drawn, token at each step, until every sequence has ended or is as long as it may be."""
    model = prompted.decoder
    given, (tokens, mask) = prompted.given, repeated(prompted, plan.copies)
    cache = empty_cache(model, tokens.shape[0], plan.positions)
    eos = torch.tensor(plan.ends, dtype=torch.long, device=tokens.device)
    ended = torch.zeros(tokens.shape[0], dtype=torch.bool, device=tokens.device)
    while tokens.shape[1] < plan.length and not bool(ended.all()):
        unseen = tokens[:, cache.position :]
        shown = visible_at(model.config, mask, cache.position, unseen.shape[1])
        output = model.network(unseen, **shown, **given, cache=cache)
        cache = output.cache
        new = chosen(output.logits[:, -1], plan, tokens.shape[1] - plan.start)
        if eos.numel():
            new = torch.where(ended, plan.pad, new)
            ended = ended | torch.isin(new, eos)
        tokens = torch.cat([tokens, new[:, None]], dim=1)
    return tokens


def chosen(logits: torch.Tensor, plan: Plan, at: int) -> torch.Tensor:
    """The token of each row by logits (rows, vocabulary), for the `at`-th new one."""
    if bool(torch.isnan(logits).any()):
        raise ValueError(search.nan_message(at))
    if not isinstance(plan.selection, Drawn):
        return logits.argmax(-1)
    scores = logits.to(torch.promote_types(logits.dtype, torch.float32))
    for rule in plan.rules:
        scores = FORMS[type(rule)](scores, *rule.values())
    noise = gumbel(plan.selection.seed, at, *scores.shape)
    return (scores + torch.from_numpy(noise).to(scores)).argmax(-1)
