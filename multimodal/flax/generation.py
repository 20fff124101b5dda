"""Generation in this backend: one compiled program per (batch, length bucket) around a cache of fixed size."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from multimodal.flax import weights
from multimodal.flax.annotations import Tensor
from multimodal.flax.caching import empty_cache, pad_mask, reorder, visible_at
from multimodal.flax.warping import FORMS
from multimodal.generation import arguments, plans, search, streaming
from multimodal.generation.config import GenerationConfig
from multimodal.generation.plans import Plan
from multimodal.modeling.outputs import GenerateOutput
from multimodal.modeling.structures import Cache, NetworkOutput


class CacheMixin:
    """`init_cache` for decoders of text."""

    def init_cache(self, batch_size: int, max_length: int) -> Cache:
        """`past_key_values` of a fixed size with nothing in them: for `max_length` positions of `batch_size` rows.

        A call with them gives them back with the new positions filled, in the same shapes: one compiled program serves every
        step, in `jax.lax.scan` too (with cross-attention from the second step on: the first fills in the context's). Its
        `attention_mask` covers all `max_length` positions, or those up to the last new one.
        Errors: ValueError for a model that sees what comes later, and for more positions than it has.
        """
        if not self.config.decodes:
            raise ValueError(
                "init_cache: expected a decoder (config.is_decoder=True), got a model that sees what comes later"
            )
        positions = arguments.longest(self)
        for name, size, most in (("batch_size", batch_size, None), ("max_length", max_length, positions)):
            if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
                raise ValueError(f"{name}: expected a positive integer, got {size!r}")
            if most is not None and size > most:
                raise ValueError(f"{name}: expected at most {most}, the decoder's positions, got {size}")
        return empty_cache(self, batch_size, max_length)


class Prompted(NamedTuple):
    """What one generation goes on from."""

    decoder: Any
    """A public model."""
    given: dict[str, Any]
    """Arrays (batch, ...) that the decoder gets at each step."""
    prompt: Any
    """(batch, start)"""
    mask: Any = None
    """(batch, start), or None"""
    encoded: NetworkOutput | None = None
    """Of a composite: what its encoder says."""
    params: Any = None
    """The decoder's."""


class GenerationMixin:
    """`generate` and `stream`, whatever the prompt is; a class that has one says what it is (`_prompted`)."""

    def generate(
        self,
        inputs: Tensor | None = None,
        generation_config: GenerationConfig | None = None,
        params: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> GenerateOutput:
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

        `params`: others than the model's own. `prng_key`: what a seed is drawn from, in the place of `seed` (0 without
        either). Sequences are as long as is asked for, with pads behind the end of each.
        Errors: ValueError naming what was expected.
        """
        call, prompted = self._generation_call(inputs, generation_config, kwargs, params)
        plan = planned(prompted, call)
        output = found(prompted, plan, self._assistant(call, inputs, kwargs))
        behind = ((0, 0), (0, plan.length - output["sequences"].shape[1]))
        output["sequences"] = jnp.pad(output["sequences"], behind, constant_values=plan.pad)
        return GenerateOutput(**arguments.named(output, prompted.encoded, call.settings))

    def stream(
        self,
        inputs: Tensor | None = None,
        generation_config: GenerationConfig | None = None,
        params: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Iterator[Any]:
        """What `generate` would give, while it is generated.

        Tokens (rows,), one after the other; with `tokenizer=` pieces of text, a text for one row and a list of them for
        several. Arguments and errors as `generate` (one beam alone).
        """
        call, prompted = self._generation_call(inputs, generation_config, kwargs, params)
        arguments.expect_streamable(call.settings)
        plan, helper = planned(prompted, call), self._assistant(call, inputs, kwargs)
        step, assistant = steppers(prompted, plan, helper)
        tokens = search.tokens(step, np.asarray(prompted.prompt), plan, assistant=assistant)
        if call.extras.tokenizer is None:
            return (jnp.asarray(chosen, jnp.int32) for chosen in tokens)
        return streaming.texts(tokens, call.extras.tokenizer, plan.sequences, plan.ends)

    def _generation_call(
        self, inputs, generation_config, kwargs: dict[str, Any], params=None
    ) -> tuple[arguments.Call, Prompted]:
        """The call, sorted, and what it goes on from."""
        main, kwargs = arguments.main_input(self, inputs, kwargs)
        key = kwargs.pop("prng_key", None)
        if key is not None and kwargs.get("seed") is not None:
            raise ValueError("prng_key: expected it without seed, got both")
        if key is not None:
            kwargs["seed"] = int(jax.random.bits(key, dtype=jnp.uint32))
        call = arguments.split(self, generation_config, kwargs, needs_start=self._needs_start(main))
        return call, self._prompted(main, call, self._variables(params))

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

    def _prompted(self, main, call: arguments.Call, params) -> Prompted:
        raise NotImplementedError


class ImageGenerationMixin(GenerationMixin):
    """`generate` for image-to-text models: a decoder goes on from a start token, and attends to an image."""

    def _needs_start(self, main) -> bool:
        return True

    def _prompted(self, main, call: arguments.Call, params) -> Prompted:
        settings, inputs = call.settings, dict(call.inputs)
        prompt, mask = inputs.pop("decoder_input_ids", None), inputs.pop("decoder_attention_mask", None)
        encoded = self._encoded(main, inputs, settings, params)
        context = self._apply(params, None, encoded.x, method="context")
        arguments.check_prompt(self.decoder, prompt, mask, context.shape[0])
        if prompt is None:
            prompt = np.full((context.shape[0], 1), settings.decoder_start_token_id)
        elif not isinstance(prompt, jax.core.Tracer) and arguments.lacks_start(np.asarray(prompt), settings):
            prompt = np.pad(prompt, ((0, 0), (1, 0)), constant_values=settings.decoder_start_token_id)
            mask = None if mask is None else np.pad(mask, ((0, 0), (1, 0)), constant_values=1)
        given = {"encoder_hidden_states": context}
        return readied(self.decoder, weights.part(params, "decoder"), given, prompt, mask, encoded)

    def _encoded(self, pixel_values, inputs: dict[str, Any], settings: GenerationConfig, params) -> NetworkOutput:
        """What the encoder says."""
        encoder_outputs = inputs.pop("encoder_outputs", None)
        encoder_kwargs, decoder_kwargs = self.route(inputs)
        arguments.expect_no_decoder_arguments(decoder_kwargs)
        if encoder_outputs is not None:
            return self._encode(None, encoder_outputs, {}, {})
        self.encoder._check(
            {**encoder_kwargs, "pixel_values": pixel_values},
            interpolate=encoder_kwargs.get("interpolate_pos_encoding"),
        )
        arrays = {k: v for k, v in encoder_kwargs.items() if k != "interpolate_pos_encoding" and v is not None}
        options = arguments.of_encoder(settings)
        return encode(self.module, params, pixel_values, arrays, tuple(options.items()))


@functools.partial(jax.jit, static_argnames=("module", "options"))
def encode(module, params, pixel_values, inputs, options) -> NetworkOutput:
    """What an encoder says, compiled."""
    return module.apply(params, pixel_values, **inputs, **dict(options), method="encode")


class TextGenerationMixin(GenerationMixin):
    """`generate` for causal language models: they go on from a text."""

    def _needs_start(self, main) -> bool:
        return main is None

    def _prompted(self, main, call: arguments.Call, params) -> Prompted:
        settings, inputs = call.settings, dict(call.inputs)
        arguments.check_text(self, inputs)
        if main is None:
            main = np.full((1, 1), settings.decoder_start_token_id)
        self._check({"input_ids": main, **inputs})
        mask = inputs.pop("attention_mask", None)
        hidden = arguments.hidden_id(settings)
        if mask is None and hidden is not None:
            mask = jnp.asarray(main) != hidden
        return readied(self, params, inputs, main, mask)


def readied(decoder, params, given: dict[str, Any], prompt, mask, encoded: NetworkOutput | None = None) -> Prompted:
    """What a generation goes on from, as arrays."""
    given = {name: jnp.asarray(array) for name, array in given.items() if array is not None}
    mask = None if mask is None else jnp.asarray(mask, bool)
    return Prompted(decoder, given, jnp.asarray(prompt, jnp.int32), mask, encoded, weights.collections(params))


def planned(prompted: Prompted, call: arguments.Call) -> Plan:
    """The plan of one generation. JAX has no generator of its own: without a seed it is 0."""
    batch, start = prompted.prompt.shape
    length = arguments.total_length(call.settings, start, arguments.longest(prompted.decoder))
    return plans.make(call.settings, call.extras, batch, start, length, arguments.vocabulary(prompted.decoder))


def found(prompted: Prompted, plan: Plan, helper: Prompted | None) -> dict[str, Any]:
    """Fields of a `GenerateOutput`, arrays."""
    if plan.is_plain and helper is None:
        return {"sequences": whole(prompted, plan)}
    if is_traced(prompted):
        reasons = plan.reasons() or ["assistant_model"]
        raise ValueError(
            "generate: inside of a trace (jax.jit, vmap, grad) expected the plain greedy or sampling mode (num_beams=1, no "
            f"other rules on scores), got {', '.join(reasons)}: these are searched for in NumPy, outside of programs"
        )
    step, assistant = steppers(prompted, plan, helper)
    output = search.run(step, np.asarray(prompted.prompt), plan, assistant)
    return {name: native(value) for name, value in output.items()}


def is_traced(prompted: Prompted) -> bool:
    """Whether a generation is being traced into a program."""
    arrays = (prompted.params, prompted.given, prompted.prompt, prompted.mask)
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(arrays))


def native(value) -> Any:
    """Arrays of NumPy, also in tuples, as arrays of this backend."""
    if isinstance(value, tuple):
        return tuple(native(item) for item in value)
    return jnp.asarray(value, jnp.int32) if value.dtype.kind == "i" else jnp.asarray(value)


def steppers(prompted: Prompted, plan: Plan, helper: Prompted | None) -> tuple[Stepper, Stepper | None]:
    """The decoder's steps, and its assistant's."""
    assistant = None if helper is None else Stepper(helper, plan)
    return Stepper(prompted, plan, **plan.shown, every=helper is not None), assistant


def capacity(prompted: Prompted, plan: Plan) -> int:
    """How many positions a cache has: programs are compiled for few lengths."""
    positions = arguments.longest(prompted.decoder)
    return arguments.bucket(plan.positions + 1, positions + 1) - 1


class Stepper:
    """A decoder with its cache, for `generation.search`."""

    def __init__(
        self, prompted: Prompted, plan: Plan, *, weights: bool = False, states: bool = False, every: bool = False
    ):
        self.model, self.params, size = prompted.decoder, prompted.params, capacity(prompted, plan)
        self.options = (weights, states, every)
        self.given, (_, mask) = prompted.given, repeated(prompted, plan.copies)
        self.mask = None if mask is None else pad_mask(mask, size)
        self.cache = empty_cache(self.model, plan.batch * plan.copies, size)
        self.seen = 0

    def __call__(self, tokens: np.ndarray, order: np.ndarray | None) -> search.Step:
        if order is not None and search.moves(order):
            self.cache = reorder(self.cache, jnp.asarray(order, jnp.int32))
        new = jnp.asarray(tokens, jnp.int32)
        logits, states, weights, crossed, self.cache = advance(
            self.model.module, *self.options, self.params, new, self.mask, self.given, self.cache
        )
        self.seen += tokens.shape[1]
        states, weights, crossed = (x and tuple(np.asarray(layer) for layer in x) for x in (states, weights, crossed))
        weights = weights and tuple(layer[..., : self.seen] for layer in weights)
        return search.Step(np.asarray(logits), states, weights, crossed)

    def rewind(self, tokens: np.ndarray) -> None:
        counted, self.seen = self.cache.counted, tokens.shape[1]
        if counted is not None:
            kept = (tokens != self.model.config.pad_token_id).sum(1, keepdims=True)
            counted = jnp.asarray(kept, counted.dtype)
        self.cache = self.cache._replace(position=jnp.int32(self.seen), counted=counted)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3), donate_argnames="cache")
def advance(module, weights: bool, states: bool, every: bool, params, tokens, mask, given, cache):
    """(logits behind the new tokens, states, attentions, cross-attentions, cache), compiled. The cache is filled in place."""
    shown = visible_at(module.config, mask, cache.position, tokens.shape[1])
    output = module.apply(params, tokens, **shown, **given, cache=cache, weights=weights, states=states)
    logits = output.logits if every else output.logits[:, -1]
    return logits, output.hidden_states, output.attentions, output.cross_attentions, output.cache


def repeated(prompted: Prompted, copies: int) -> tuple[Any, Any]:
    """(the prompt, its mask), each row as often as it has copies; what they attend to is one for all of them."""
    mask = None if prompted.mask is None else jnp.repeat(prompted.mask, copies, 0)
    return jnp.repeat(prompted.prompt, copies, 0), mask


class State(NamedTuple):
    """Where one program leaves off."""

    tokens: Any
    """(rows, any)"""
    ended: Any
    """(rows,)"""
    at: Any
    """How many columns count."""
    invalid: Any
    """The first column for which scores were no numbers; 0 where there is none."""
    cache: Any


def whole(prompted: Prompted, plan: Plan) -> jax.Array:
    """The likeliest, or drawn, token at each step, until every sequence has ended or is as long as it may be; then pads.

    One program; while drawing another goes on with the noise of the next tokens.
    """
    model, size = prompted.decoder, capacity(prompted, plan)
    given, (prompt, mask) = prompted.given, repeated(prompted, plan.copies)
    mask = None if mask is None else pad_mask(mask, size)
    forms = tuple(FORMS[type(rule)] for rule in plan.rules)
    values = [tuple(rule.values()) for rule in plan.rules]
    options = prompted.params, given, mask, values, jnp.asarray(plan.ends or [-1], jnp.int32), jnp.int32(plan.pad)
    state, traced, at = None, is_traced(prompted), plan.start
    while True:
        until, noise = noise_of(model, plan, at - plan.start)
        if state is None:
            cache = empty_cache(model, prompt.shape[0], size)
            state = begin(model.module, size, forms, *options, noise, until, prompt, cache)
        else:
            state = go_on(model.module, forms, *options, noise, until, jnp.int32(at), state)
        if not traced and int(state.invalid):
            raise ValueError(search.nan_message(int(state.invalid) - plan.start))
        at = until
        if at >= plan.length or (not traced and bool(state.ended.all())):
            return state.tokens[:, : plan.length]


def noise_of(model, plan: Plan, at: int) -> tuple[int, jax.Array | None]:
    """(how long sequences become with it, the noise of the tokens from the `at`-th on), the noise None where none is."""
    until, noise = plan.chunk(at, arguments.vocabulary(model))
    wide = jnp.promote_types(model.dtype, jnp.float32)
    return until, None if noise is None else jnp.asarray(noise, wide)


@functools.partial(jax.jit, static_argnames=("module", "size", "forms"))
def begin(module, size: int, forms, params, given, mask, values, eos, pad, noise, until, prompt, cache) -> State:
    """The tokens behind a prompt (rows, start), in a cache of that size."""
    rows, start = prompt.shape
    output = module.apply(params, prompt, **visible_at(module.config, mask, 0, start), **given, cache=cache)
    tokens = jnp.full((rows, size + 1), pad, prompt.dtype).at[:, :start].set(prompt)
    state = State(tokens, jnp.zeros(rows, bool), jnp.int32(start), jnp.int32(0), output.cache)
    state = append(state, output.logits, forms, values, eos, pad, noise, 0)
    return go_on(module, forms, params, given, mask, values, eos, pad, noise, until, jnp.int32(start), state)


@functools.partial(jax.jit, static_argnames=("module", "forms"))
def go_on(module, forms, params, given, mask, values, eos, pad, noise, until, first, state: State) -> State:
    """The tokens behind those of a state; `first` is the place that the noise begins with."""

    def body(state: State) -> State:
        new = jax.lax.dynamic_slice_in_dim(state.tokens, state.at - 1, 1, 1)
        shown = visible_at(module.config, mask, state.cache.position, 1)
        output = module.apply(params, new, **shown, **given, cache=state.cache)
        state = state._replace(cache=output.cache)
        return append(state, output.logits, forms, values, eos, pad, noise, state.at - first)

    def unfinished(state: State) -> jax.Array:
        return (state.at < until) & ~state.ended.all() & (state.invalid == 0)

    return jax.lax.while_loop(unfinished, body, state)


def append(state: State, logits, forms, values, eos, pad, noise, step) -> State:
    """A state with one more token in each row, by logits (rows, new, vocabulary) and the noise of that step."""
    logits = logits[:, -1]
    bad = jnp.isnan(logits).any()
    if noise is not None:
        logits = logits.astype(noise.dtype)
        for form, value in zip(forms, values):
            logits = form(logits, *value)
        logits = logits + noise[step]
    new = jnp.where(state.ended, pad, logits.argmax(-1)).astype(state.tokens.dtype)
    return state._replace(
        tokens=jax.lax.dynamic_update_slice_in_dim(state.tokens, new[:, None], state.at, 1),
        ended=state.ended | (new[:, None] == eos).any(-1),
        at=state.at + 1,
        invalid=jnp.where((state.invalid == 0) & bad, state.at, state.invalid),
    )
