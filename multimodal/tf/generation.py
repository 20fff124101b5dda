"""Generation in this backend: one compiled (XLA) program per (batch, length bucket) around a cache of fixed size."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from multimodal.generation import arguments, plans, search, streaming
from multimodal.generation.config import GenerationConfig
from multimodal.generation.plans import Plan
from multimodal.modeling.outputs import GenerateOutput
from multimodal.modeling.structures import Cache, NetworkOutput
from multimodal.tf.annotations import Tensor
from multimodal.tf.caching import empty_cache, pad_mask, reorder, visible_at
from multimodal.tf.warping import FORMS


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
        call, prompted = self._generation_call(inputs, generation_config, kwargs)
        arguments.expect_streamable(call.settings)
        plan, helper = planned(prompted, call), self._assistant(call, inputs, kwargs)
        step, assistant = steppers(prompted, plan, helper)
        tokens = search.tokens(step, np.asarray(prompted.prompt), plan, assistant=assistant)
        if call.extras.tokenizer is None:
            return (tf.constant(chosen, tf.int32) for chosen in tokens)
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
            prompt = np.full((context.shape[0], 1), settings.decoder_start_token_id)
        elif arguments.lacks_start(np.asarray(prompt), settings):
            prompt = np.pad(prompt, ((0, 0), (1, 0)), constant_values=settings.decoder_start_token_id)
            mask = None if mask is None else np.pad(mask, ((0, 0), (1, 0)), constant_values=1)
        return readied(self.decoder, {"encoder_hidden_states": context}, prompt, mask, encoded)

    def _encoded(self, pixel_values, inputs: dict[str, Any], settings: GenerationConfig) -> NetworkOutput:
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
        given = {k: v for k, v in encoder_kwargs.items() if k != "interpolate_pos_encoding" and v is not None}
        tensors = tf.nest.map_structure(tf.convert_to_tensor, {**given, "pixel_values": pixel_values})
        return compiled(self, encode, tuple(arguments.of_encoder(settings).items()), jit=False)(tensors)


def encode(model, options: tuple[tuple[str, Any], ...], tensors: dict[str, Any]) -> NetworkOutput:
    """What an encoder says."""
    return model.network.encode(**tensors, **dict(options))


class TextGenerationMixin(GenerationMixin):
    """`generate` for causal language models: they go on from a text."""

    def _needs_start(self, main) -> bool:
        return main is None

    def _prompted(self, main, call: arguments.Call) -> Prompted:
        settings, inputs = call.settings, dict(call.inputs)
        arguments.check_text(self, inputs)
        if main is None:
            main = np.full((1, 1), settings.decoder_start_token_id)
        self._check({"input_ids": main, **inputs})
        mask = inputs.pop("attention_mask", None)
        hidden = arguments.hidden_id(settings)
        if mask is None and hidden is not None:
            mask = np.asarray(main) != hidden
        return readied(self, inputs, main, mask)


def readied(decoder, given: dict[str, Any], prompt, mask, encoded: NetworkOutput | None = None) -> Prompted:
    """What a generation goes on from, as tensors."""
    given = {name: tf.convert_to_tensor(tensor) for name, tensor in given.items() if tensor is not None}
    mask = None if mask is None else tf.cast(mask, tf.bool)
    return Prompted(decoder, given, tf.cast(prompt, tf.int32), mask, encoded)


def planned(prompted: Prompted, call: arguments.Call) -> Plan:
    """The plan of one generation, its seed drawn where none was given."""
    extras, (batch, start) = call.extras, prompted.prompt.shape
    if call.settings.do_sample and extras.seed is None:
        extras = extras._replace(seed=int(keras.random.randint((), 0, 2**31 - 1)))
    length = arguments.total_length(call.settings, start, arguments.longest(prompted.decoder))
    return plans.make(call.settings, extras, batch, start, length, arguments.vocabulary(prompted.decoder))


def found(prompted: Prompted, plan: Plan, helper: Prompted | None) -> dict[str, Any]:
    """Fields of a `GenerateOutput`, tensors."""
    if plan.is_plain and helper is None:
        return {"sequences": whole(prompted, plan)}
    step, assistant = steppers(prompted, plan, helper)
    output = search.run(step, np.asarray(prompted.prompt), plan, assistant)
    return {name: native(value) for name, value in output.items()}


def native(value) -> Any:
    """Arrays, also in tuples, as tensors."""
    if isinstance(value, tuple):
        return tuple(native(item) for item in value)
    return tf.constant(value, tf.int32) if value.dtype.kind == "i" else tf.constant(value)


def steppers(prompted: Prompted, plan: Plan, helper: Prompted | None) -> tuple[Stepper, Stepper | None]:
    """The decoder's steps, and its assistant's."""
    assistant = None if helper is None else Stepper(helper, plan)
    return Stepper(prompted, plan, **plan.shown, every=helper is not None), assistant


def capacity(prompted: Prompted, plan: Plan) -> int:
    """How many positions a cache has: programs are compiled for few lengths."""
    positions = arguments.longest(prompted.decoder)
    return arguments.bucket(plan.positions + 1, positions + 1) - 1


def compiled(model, function: Any, *fixed: Any, jit: bool = True) -> Any:
    """A compiled function of a model and of what is fixed: one program for each shape and type of what it is given.

    `jit`: by XLA, which is worth its time where a program runs for each token. Each is a `tf.function` of its own, because
    TensorFlow warns of one that meets several; and of a partial function, because it takes all functions of one source for
    one.
    """
    programs = vars(model).get("_programs")
    if programs is None:  # none yet, or the model has changed (`_follow`)
        programs = {}
        model._set("_programs", programs)

    def run(*tensors):
        given = (None if leaf is None else (leaf.shape, leaf.dtype) for leaf in tf.nest.flatten(tensors))
        key = (function, *fixed, *given)
        if key not in programs:
            programs[key] = tf.function(functools.partial(function, model, *fixed), jit_compile=jit)
        return programs[key](*tensors)

    return run


class Stepper:
    """A decoder with its cache, for `generation.search`."""

    def __init__(
        self, prompted: Prompted, plan: Plan, *, weights: bool = False, states: bool = False, every: bool = False
    ):
        self.model, size = prompted.decoder, capacity(prompted, plan)
        self.program = compiled(self.model, advance, weights, states, every)
        self.given, (_, mask) = prompted.given, repeated(prompted, plan.copies)
        self.mask = None if mask is None else pad_mask(mask, size)
        self.cache = empty_cache(self.model, plan.batch * plan.copies, size)
        self.seen, self.reorders = 0, plan.reorders

    def __call__(self, tokens: np.ndarray, order: np.ndarray | None) -> search.Step:
        rows = tf.constant(np.arange(len(tokens)) if order is None else order, tf.int32) if self.reorders else None
        new = tf.constant(tokens, tf.int32)
        logits, states, weights, crossed, cache = self.program(new, rows, self.mask, self.given, self.cache)
        self.cache = with_contexts(cache, self.cache)
        self.seen += tokens.shape[1]
        states, weights, crossed = (x and tuple(np.asarray(layer) for layer in x) for x in (states, weights, crossed))
        weights = weights and tuple(layer[..., : self.seen] for layer in weights)
        return search.Step(np.asarray(logits), states, weights, crossed)

    def rewind(self, tokens: np.ndarray) -> None:
        counted, self.seen = self.cache.counted, tokens.shape[1]
        if counted is not None:
            kept = (tokens != self.model.config.pad_token_id).sum(1, keepdims=True)
            counted = tf.constant(kept, counted.dtype)
        self.cache = self.cache._replace(position=tf.constant(self.seen), counted=counted)


def advance(model, weights: bool, states: bool, every: bool, tokens, order, mask, given, cache):
    """(logits behind the new tokens, states, attentions, cross-attentions, cache).

    The cache is without what a context's keys and values are in the one that is given: a program copies what goes through it.
    """
    shown = visible_at(model.config, mask, cache.position, tokens.shape[1])
    options = {"weights": weights, "states": states}
    output = model.network(tokens, **shown, **given, cache=cache if order is None else reorder(cache, order), **options)
    logits = output.logits if every else output.logits[:, -1]
    layers = tuple(
        new._replace(cross_attention=new.cross_attention if old.cross_attention is None else None)
        for new, old in zip(output.cache.layers, cache.layers)
    )
    return (
        logits,
        output.hidden_states,
        output.attentions,
        output.cross_attentions,
        output.cache._replace(layers=layers),
    )


def with_contexts(cache: Cache, before: Cache) -> Cache:
    """A cache that `advance` gives, with the keys and values of contexts that the one before has."""
    layers = tuple(
        new._replace(cross_attention=new.cross_attention or old.cross_attention)
        for new, old in zip(cache.layers, before.layers)
    )
    return cache._replace(layers=layers)


def repeated(prompted: Prompted, copies: int) -> tuple[Any, Any]:
    """(the prompt, its mask), each row as often as it has copies; what they attend to is one for all of them."""
    mask = None if prompted.mask is None else tf.repeat(prompted.mask, copies, 0)
    return tf.repeat(prompted.prompt, copies, 0), mask


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


def whole(prompted: Prompted, plan: Plan) -> tf.Tensor:
    """The likeliest, or drawn, token at each step, until every sequence has ended or is as long as it may be.

    One program; while drawing another goes on with the noise of the next tokens.
    """
    model, size = prompted.decoder, capacity(prompted, plan)
    given, (prompt, mask) = prompted.given, repeated(prompted, plan.copies)
    mask = None if mask is None else pad_mask(mask, size)
    forms = tuple(FORMS[type(rule)] for rule in plan.rules)
    values = [tf.constant(rule.values(), tf.float64) for rule in plan.rules]
    options = given, mask, values, tf.constant(plan.ends or [-1], tf.int32), tf.constant(plan.pad, tf.int32)
    state = None
    while True:
        until, noise = noise_of(model, plan, 0 if state is None else int(state.at) - plan.start)
        if state is None:
            state = compiled(model, begin, size, forms)(*options, noise, until, prompt)
        else:
            state = compiled(model, go_on, forms)(*options, noise, until, state)
        if int(state.invalid):
            raise ValueError(search.nan_message(int(state.invalid) - plan.start))
        if int(state.at) >= plan.length or bool(tf.reduce_all(state.ended)):
            return state.tokens[:, : int(state.at)]


def noise_of(model, plan: Plan, at: int) -> tuple[tf.Tensor, tf.Tensor | None]:
    """(how long sequences become with it, the noise of the tokens from the `at`-th on), the noise None where none is."""
    until, noise = plan.chunk(at, arguments.vocabulary(model))
    wide = "float64" if model.network.compute_dtype == "float64" else "float32"
    return tf.constant(until), None if noise is None else tf.constant(noise, wide)


def begin(model, size: int, forms, given, mask, values, eos, pad, noise, until, prompt) -> State:
    """The tokens behind a prompt (rows, start), in a cache of that size."""
    rows, start = prompt.shape
    cache = empty_cache(model, rows, size)
    output = model.network(prompt, **visible_at(model.config, mask, 0, start), **given, cache=cache)
    tokens = tf.pad(prompt, ((0, 0), (0, size + 1 - start)))
    state = State(tokens, tf.zeros(rows, tf.bool), tf.constant(start), tf.constant(0), output.cache)
    state = append(state, output.logits, forms, values, eos, pad, noise, 0)
    return go_on(model, forms, given, mask, values, eos, pad, noise, until, state, first=start)


def go_on(model, forms, given, mask, values, eos, pad, noise, until, state: State, first=None) -> State:
    """The tokens behind those of a state; `first` is the place that the noise begins with."""
    first, structure = state.at if first is None else first, state.cache

    def body(tokens, ended, at, invalid, leaves):
        left = iter(leaves)
        cache = tf.nest.map_structure(lambda leaf: None if leaf is None else next(left), structure)
        new = tf.slice(tokens, (0, at - 1), (tokens.shape[0], 1))
        output = model.network(new, **visible_at(model.config, mask, cache.position, 1), **given, cache=cache)
        state = State(tokens, ended, at, invalid, there(output.cache))
        return append(state, output.logits, forms, values, eos, pad, noise, at - first)

    def there(cache):  # the loop takes no None
        return tuple(leaf for leaf in tf.nest.flatten(cache) if leaf is not None)

    def unfinished(tokens, ended, at, invalid, leaves):
        return (at < until) & ~tf.reduce_all(ended) & (invalid == 0)

    state = tf.while_loop(unfinished, body, state._replace(cache=there(state.cache)))
    left = iter(state[-1])
    return State(*state[:-1], tf.nest.map_structure(lambda leaf: None if leaf is None else next(left), structure))


def append(state: State, logits, forms, values, eos, pad, noise, step) -> State:
    """A state with one more token in each row, by logits (rows, new, vocabulary) and the noise of that step."""
    logits = logits[:, -1]
    bad = tf.reduce_any(tf.math.is_nan(logits))
    if noise is not None:
        logits = tf.cast(logits, noise.dtype)
        for form, value in zip(forms, values):
            logits = form(logits, value[0], value[1])
        logits = logits + noise[step]
    new = tf.where(state.ended, pad, tf.argmax(logits, -1, output_type=tf.int32))
    return state._replace(
        tokens=ops.slice_update(state.tokens, (0, state.at), new[:, None]),
        ended=state.ended | tf.reduce_any(new[:, None] == eos, -1),
        at=state.at + 1,
        invalid=tf.where((state.invalid == 0) & bad, state.at, state.invalid),
    )
