"""Calls of what is made of two halves: a composite of any two architectures, or of two towers of its own.

Which of them a family is, its configuration class says: a composite of any two has to be made of two configurations
(`is_composition`), one of its own towers has defaults for both.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from multimodal import registry
from multimodal.specs.base import Specification

CROSS = {"is_decoder": True, "add_cross_attention": True}
HALVES = {
    "vision-encoder-decoder": (("vit", "gpt2"), ("vit", "bert"), ("deit", "data2vec-text"), ("beit", "gpt2"),
                               ("swin", "gpt2"), ("vit", "trocr"), ("swin", "bart"), ("vit", "roberta")),
}  # fmt: skip
"""(encoder, decoder) that a composite of any two is made of; the first pair is asked everything."""


def is_of_any(model_type: str) -> bool:
    """Whether an architecture is a composite of any two."""
    return registry.config_class_of(model_type).is_composition


def halves_of(config: Any) -> list[Any]:
    """The configurations of a composite's halves, or a model's own."""
    return [getattr(config, side) for side in config.halves] or [config]


def of_any(spec: Specification, tiny: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """(what a subject is called, its configuration) of a composite of any two."""
    for encoder, decoder in HALVES[spec.model_type]:
        halves = {"encoder": tiny(encoder), "decoder": tiny(decoder, **CROSS)}
        start = 0 if halves["decoder"].pad_token_id == 1 else 1  # a start that is padding would be hidden
        tokens = {"decoder_start_token_id": start, "pad_token_id": 1 - start, "eos_token_id": 2}
        yield f"{spec.name}-{encoder}-{decoder}", registry.config_class_of(spec.model_type)(**halves, **tokens)


def halves_missing(config: Any, framework: str, available: dict[str, list[str]]) -> list[str]:
    """Classes that a composite is made of and that the reference does not have in a framework."""
    wanted = [registry.model_name(auto, getattr(config, side)) for side, auto in config.halves.items()]
    return [name for name in wanted if registry.PREFIXES[framework] + name not in available[framework]]


def call_codes(spec: Specification, config: Any, framework: str) -> Iterator[tuple[str, str]]:
    """(name, code) of the calls that only something of two halves has."""
    if is_of_any(spec.model_type):
        yield from OF_ANY.items()
        if framework != "flax":
            yield from OF_ANY_CACHE.items()
    elif config.halves:
        yield from TOWERS.items()
        if framework == "pt":
            yield from TOWERS_TRAINED.items()


def loading_codes(spec: Specification, config: Any, framework: str) -> dict[str, str]:
    """{name: code} of what only something of two halves is asked about its parts and files."""
    if not config.halves:
        return {}
    names = {side: config_fields(type(getattr(config, side))) for side in config.halves}
    described = {name: code.replace("HALVES", str(names)) for name, code in HALVES_DESCRIBED.items()}
    return described | (OF_ANY_LOADED if is_of_any(spec.model_type) else TOWERS_LOADED)


def config_fields(config_class: Any) -> list[str]:
    """The fields of a configuration by their published spelling, without the halves."""
    return [name for name in inspect.signature(config_class).parameters if name not in ("kwargs", *config_class.halves)]


HALVES_DESCRIBED = {
    "halves of the configuration": "c = model.config.to_dict()\n"
    "{s: {k: c[s].get(k, 'absent') for k in names} for s, names in HALVES.items()}",
    "halves of the configuration saved": "model.save_pretrained(out)\nc = json.load(open(out + '/config.json'))\n"
    "{s: {k: c[s].get(k, 'absent') for k in names} for s, names in HALVES.items()}",
}
OF_ANY = {
    "encoder's outputs": "e = model.encode(pixel_values=inputs['pixel_values']) if hasattr(model, 'encode') else "
    "model.encoder(pixel_values=inputs['pixel_values'])\n[type(e).__name__.removeprefix('TF').removeprefix('Flax'), e[0]]",
    "no pictures": "model(decoder_input_ids=inputs['decoder_input_ids'])",
    "no text": "model(pixel_values=inputs['pixel_values'])",
}  # fmt: skip
OF_ANY_CACHE = {
    "a cache": "model(**inputs, use_cache=True)",
    "no cache": "model(**inputs, use_cache=False)",
    "given encoder outputs": "e = model(**inputs).encoder_last_hidden_state\n"
    "model(decoder_input_ids=inputs['decoder_input_ids'], encoder_outputs=(e,))",
    "continued": "ids = inputs['decoder_input_ids']\na = model(pixel_values=inputs['pixel_values'], "
    "decoder_input_ids=ids[:, :4], use_cache=True)\nmodel(encoder_outputs=(a.encoder_last_hidden_state,), "
    "decoder_input_ids=ids[:, 4:], past_key_values=a.past_key_values, use_cache=True)",
    "a keyword for the decoder": "model(**inputs, decoder_output_attentions=True)",
}  # fmt: skip
TOWERS = {
    "loss": "model(**inputs, return_loss=True)",
    "no loss": "model(**inputs, return_loss=False)",
    "loss as a tuple": "model(**inputs, return_loss=True, return_dict=False)",
    "loss with states": "model(**inputs, return_loss=True, output_hidden_states=True, output_attentions=True)",
    "loss of one pair": "model(**{k: v[:1] for k, v in inputs.items()}, return_loss=True)",
    "loss of one text and two images": "model(**{k: v[:1] if k != 'pixel_values' else v for k, v in inputs.items()}, return_loss=True)",
    "one text and two images": "model(**{k: v[:1] if k != 'pixel_values' else v for k, v in inputs.items()})",
    "two texts and one image": "model(**{k: v[:1] if k == 'pixel_values' else v for k, v in inputs.items()})",
    "images alone": "model(pixel_values=inputs['pixel_values'])",
    "texts alone": "model(input_ids=inputs['input_ids'])",
    "what the towers give": "y = model(**inputs)\n[y.text_model_output, y.vision_model_output]",
    "what the towers give, by states": "y = model(**inputs, output_hidden_states=True)\n"
    "[y.text_model_output.hidden_states, y.vision_model_output.hidden_states]",
    "output's to_tuple with states": "model(**inputs, output_hidden_states=True, output_attentions=True).to_tuple()",
    "probabilities": "y = array(model(**inputs).logits_per_image)\nnp.exp(y) / np.exp(y).sum(1, keepdims=True)",
    "text features": "model.get_text_features(input_ids=inputs['input_ids'])",
    "text features by place": "model.get_text_features(inputs['input_ids'], more['attention_mask'])",
    "text features with a mask": "model.get_text_features(input_ids=inputs['input_ids'], attention_mask=more['attention_mask'], "
    "token_type_ids=more['token_type_ids'], position_ids=more['position_ids'])",
    "text features of embeddings": "model.get_text_features(inputs_embeds=more['inputs_embeds'])",
    "text features with a head mask": "model.get_text_features(input_ids=inputs['input_ids'], head_mask=more['head_mask'])",
    "text features as a tuple": "model.get_text_features(input_ids=inputs['input_ids'], return_dict=False)",
    "text features with states": "model.get_text_features(input_ids=inputs['input_ids'], output_hidden_states=True, output_attentions=True)",
    "text features of nothing": "model.get_text_features()",
    "text features, unknown keyword": "model.get_text_features(input_ids=inputs['input_ids'], nonsense=1)",
    "text features of images": "model.get_text_features(pixel_values=inputs['pixel_values'])",
    "image features": "model.get_image_features(pixel_values=inputs['pixel_values'])",
    "image features by place": "model.get_image_features(inputs['pixel_values'])",
    "image features as a tuple": "model.get_image_features(pixel_values=inputs['pixel_values'], return_dict=False)",
    "image features with states": "model.get_image_features(pixel_values=inputs['pixel_values'], output_hidden_states=True)",
    "image features of nothing": "model.get_image_features()",
    "image features of another size": "model.get_image_features(pixel_values=inputs['pixel_values'][:, :, :24])",
    "text tower": "model.text_model(input_ids=inputs['input_ids'])",
    "image tower": "model.vision_model(pixel_values=inputs['pixel_values'])",
    "kinds of the towers": "[type(t).__name__ for t in (model.text_model, model.vision_model)]",
}  # fmt: skip
TOWERS_TRAINED = {
    "gradients of the loss": "m = load()\nm(**inputs, return_loss=True).loss.backward()\n"
    "sum(float((p.grad.double() ** 2).sum()) for p in m.parameters() if p.grad is not None)",
    "loss in training mode": "load().train()(**inputs, return_loss=True)",
    "features in training mode": "m = load().train()\n[m.get_text_features(input_ids=inputs['input_ids']), "
    "m.get_image_features(pixel_values=inputs['pixel_values'])]",
}
OF_ANY_LOADED = {
    "the halves": "[type(model.encoder).__name__.replace('TF', '').replace('Flax', ''), type(model.decoder).__name__.replace('TF', '').replace('Flax', '')]",
    "the halves by method": "[model.get_encoder() is model.encoder, model.get_decoder() is model.decoder]",
    "of two": "model.encoder.save_pretrained(out + '/e')\nmodel.decoder.save_pretrained(out + '/d')\n"
    "m = cls.from_encoder_decoder_pretrained(out + '/e', out + '/d')\n[shapes(m(**inputs)[0]), m.config.decoder.add_cross_attention]",
    "of nothing": "cls.from_encoder_decoder_pretrained()",
    "configuration of two": "c = library.VisionEncoderDecoderConfig.from_encoder_decoder_configs(model.config.encoder, model.config.decoder)\n"
    "[c.decoder.is_decoder, c.decoder.add_cross_attention, type(c.encoder).__name__]",
    "resized": "load().resize_token_embeddings(105)",
    "decoder resized": "m = load()\nm.decoder.resize_token_embeddings(105)\n[shapes(m(**inputs)[0]), m.config.decoder.vocab_size]",
}  # fmt: skip
TOWERS_LOADED = {
    "types of the towers' configurations": "[type(getattr(model.config, s)).__name__ for s in ('text_config', 'vision_config')]",
    "a tower by itself": "m = library.AlignTextModel.from_pretrained(folder)\n"
    "[type(m).__name__, shapes(m(input_ids=inputs['input_ids']))]",
    "a tower saved": "model.text_model.save_pretrained(out)\nlibrary.AlignTextModel.from_pretrained(out)(input_ids=inputs['input_ids'])",
    "the image tower saved": "model.vision_model.save_pretrained(out)\n"
    "library.AlignVisionModel.from_pretrained(out)(pixel_values=inputs['pixel_values'])",
    "made of two configurations": "c = library.AlignConfig.from_text_vision_configs(model.config.text_config, model.config.vision_config, "
    "projection_dim=model.config.projection_dim)\nshapes(cls(c)(**inputs))",
}  # fmt: skip
