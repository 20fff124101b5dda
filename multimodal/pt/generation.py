"""Generation in this backend: an eager loop over a cache of fixed size."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from multimodal.generation import arguments, search
from multimodal.generation.config import GenerationConfig
from multimodal.modeling.outputs import GenerateOutput
from multimodal.modeling.structures import Cache, KeyValue, LayerCache, cache_shapes
from multimodal.pt.annotations import Tensor
from multimodal.pt.weights import to_numpy


class GenerationMixin:
    """`generate` for image-to-text models."""

    @torch.no_grad()
    def generate(
        self, pixel_values: Tensor | None = None, generation_config: GenerationConfig | None = None, **kwargs: Any
    ) -> Tensor | GenerateOutput:
        """Token ids (batch, length) for images (batch, channels, height, width): the prompt, what follows, pads.

        Keywords are settings (`GenerationConfig`), `decoder_input_ids` as a prompt (the start token is put in front where
        no row begins with it), `encoder_outputs`, and arguments of the encoder. Exact ties go to the lowest id.
        """
        settings, inputs = arguments.split(self, generation_config, kwargs)
        prompt, mask = inputs.pop("decoder_input_ids", None), inputs.pop("decoder_attention_mask", None)
        context = self._context(pixel_values, inputs)
        if prompt is None:
            shape = (context.shape[0], 1)
            prompt = torch.full(shape, settings.decoder_start_token_id, dtype=torch.long, device=context.device)
        elif arguments.lacks_start(prompt.numpy(force=True), settings):
            prompt = torch.nn.functional.pad(prompt, (1, 0), value=settings.decoder_start_token_id)
            mask = None if mask is None else torch.nn.functional.pad(mask, (1, 0), value=1)
        return generated(self.decoder, {"encoder_hidden_states": context}, prompt, mask, settings)

    def _context(self, pixel_values, inputs: dict[str, Any]):
        """What the decoder attends to."""
        encoder_outputs = inputs.pop("encoder_outputs", None)
        encoder_kwargs, decoder_kwargs = self.route(inputs)
        if decoder_kwargs:
            names = ", ".join(f"decoder_{name}" for name in decoder_kwargs)
            raise ValueError(f"generate: expected no decoder arguments but decoder_input_ids and its mask, got {names}")
        if encoder_outputs is None:
            self.encoder._check(
                {**encoder_kwargs, "pixel_values": pixel_values},
                interpolate=encoder_kwargs.get("interpolate_pos_encoding"),
            )
        options = {"weights": False, "states": False}
        return self.network.context(self._encode(pixel_values, encoder_outputs, options, encoder_kwargs).x)


class TextGenerationMixin:
    """`generate` for causal language models."""

    @torch.no_grad()
    def generate(
        self, input_ids: Tensor | None = None, generation_config: GenerationConfig | None = None, **kwargs: Any
    ) -> Tensor | GenerateOutput:
        """Token ids (batch, length): the prompt `input_ids` (batch, start), what follows, pads.

        Without a prompt, one row from the start token on. Keywords are settings (`GenerationConfig`), the prompt's
        `attention_mask` (without one, its padding is hidden), and `encoder_hidden_states` with their mask.
        """
        settings, inputs = arguments.split(self, generation_config, kwargs, needs_start=input_ids is None)
        arguments.check_text(self, inputs)
        if input_ids is None:
            input_ids = torch.full((1, 1), settings.decoder_start_token_id, dtype=torch.long, device=self.device)
        self._check({"input_ids": input_ids, **inputs})
        mask = inputs.pop("attention_mask", None)
        hidden = arguments.hidden_id(settings)
        if mask is None and hidden is not None:
            mask = (input_ids != hidden).long()
        return generated(self, inputs, input_ids, mask, settings)


def generated(model, given: dict[str, Any], prompt, mask, settings: GenerationConfig) -> Any:
    """What `generate` returns: `given` are tensors (batch, ...) that the decoder, a public model, gets at each step."""
    length = arguments.total_length(settings, prompt.shape[1], arguments.longest(model))
    given = {name: tensor for name, tensor in given.items() if tensor is not None}
    if arguments.needs_search(settings):
        stepper = Stepper(model, given, mask, prompt.shape[0], length, settings.num_beams)
        output = search.run(stepper, prompt.numpy(force=True), settings, length)
        output = {name: torch.from_numpy(value).to(prompt.device) for name, value in output.items()}
    else:
        output = {"sequences": greedy(model, given, prompt, mask, length, settings)}
    return GenerateOutput(**output) if settings.return_dict_in_generate else output["sequences"]


class Stepper:
    """A decoder with its cache, for `generation.search`."""

    def __init__(self, model, given, mask, batch: int, length: int, beams: int):
        self.network, self.config, self.device = model.network, model.config, model.device
        self.given = {name: tensor.repeat_interleave(beams, 0) for name, tensor in given.items()}
        self.mask = None if mask is None else mask.repeat_interleave(beams, 0)
        self.cache = empty_cache(model.config, batch * beams, length - 1, model.dtype, model.device)

    def __call__(self, tokens: np.ndarray, order: np.ndarray | None) -> np.ndarray:
        if order is not None:
            self.cache = reorder(self.cache, torch.from_numpy(order).to(self.device))
        new = torch.from_numpy(tokens).to(self.device)
        shown = visible_at(self.config, self.mask, self.cache.position, new.shape[1])
        output = self.network(new, **shown, **self.given, cache=self.cache)
        self.cache = output.cache
        return to_numpy(output.logits[:, -1])


def reorder(cache: Cache, order: torch.Tensor) -> Cache:
    """The cache of the rows that each row goes on from; all beams of an image attend to the same context."""
    layers = tuple(
        layer._replace(self_attention=KeyValue(*(tensor[order] for tensor in layer.self_attention)))
        for layer in cache.layers
    )
    return cache._replace(layers=layers, counted=None if cache.counted is None else cache.counted[order])


def greedy(model, given, prompt, mask, length: int, settings: GenerationConfig) -> torch.Tensor:
    """The likeliest token at each step, until every sequence has ended or is `length` long."""
    pad, eos = settings.pad_token_id, torch.tensor(settings.eos_token_ids, dtype=torch.long, device=prompt.device)
    tokens, cache = prompt, empty_cache(model.config, prompt.shape[0], length - 1, model.dtype, model.device)
    ended = torch.zeros(prompt.shape[0], dtype=torch.bool, device=prompt.device)
    while tokens.shape[1] < length and not bool(ended.all()):
        unseen = tokens[:, cache.position :]
        shown = visible_at(model.config, mask, cache.position, unseen.shape[1])
        output = model.network(unseen, **shown, **given, cache=cache)
        cache = output.cache
        new = output.logits[:, -1].argmax(-1)
        if eos.numel():
            new = torch.where(ended, pad, new)
            ended = ended | torch.isin(new, eos)
        tokens = torch.cat([tokens, new[:, None]], dim=1)
    return tokens


def empty_cache(config, batch: int, length: int, dtype: torch.dtype, device: torch.device) -> Cache:
    """A cache of `length` positions with none of them filled; cross-attention fills its own on the first step."""
    layers = []
    for heads, head_size in cache_shapes(config):
        shape = (batch, heads, length, head_size)
        layers.append(LayerCache(KeyValue(*(torch.zeros(shape, dtype=dtype, device=device) for _ in range(2)))))
    return Cache(
        tuple(layers), 0, torch.zeros(batch, 1, dtype=torch.long, device=device) if config.skips_padding else None
    )


def pad_mask(mask: torch.Tensor, length: int) -> torch.Tensor:
    """The prompt's mask with ones for what was generated."""
    return torch.nn.functional.pad(mask, (0, length - mask.shape[1]), value=1)


def visible_at(config, mask: torch.Tensor | None, start: int, count: int) -> dict[str, torch.Tensor]:
    """What a decoder is told of `count` tokens from `start` on by the prompt's mask."""
    if mask is None:
        return {}
    mask = pad_mask(mask, start + count)
    if not config.numbers_visible:
        return {"attention_mask": mask}
    return {"attention_mask": mask, "position_ids": (mask.cumsum(-1) - 1).clamp(min=0)[:, start:]}
