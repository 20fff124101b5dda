"""Calls of the configurations."""

from __future__ import annotations

import dataclasses
from typing import Any

from differential import composites
from differential.job import NEUTRAL, Job

from multimodal import registry

KEEP = "{k: c.get(k, 'absent') for k in OWN}"
CALLS = {
    "keys of a dictionary": "sorted(cls().to_dict())",
    "default": f"c = cls().to_dict()\n{KEEP}",
    "differences": f"c = cls().to_diff_dict()\n{KEEP}",
    "as JSON": f"c = json.loads(cls().to_json_string())\n{KEEP}",
    "as JSON in full": f"c = json.loads(cls().to_json_string(use_diff=False))\n{KEEP}",
    "model_type": "cls.model_type",
    "is_composition": "cls.is_composition",
    "attribute_map": "cls.attribute_map",
    "files": "cls().save_pretrained(out)\nos.listdir(out)",
    "saved": f"cls(architectures=['X']).save_pretrained(out)\nc = json.load(open(out + '/config.json'))\n{KEEP}",
    "saved and loaded": f"cls(initializer_range=0.5).save_pretrained(out)\nc = cls.from_pretrained(out).to_dict()\n{KEEP}",
    "loaded with changes": "cls().save_pretrained(out)\nc = cls.from_pretrained(out, num_labels=5, output_attentions=True)\n"
    "[c.num_labels, c.output_attentions, c.id2label, c.label2id]",
    "loaded, unused keywords": "cls().save_pretrained(out)\nc, rest = cls.from_pretrained(out, nonsense=1, return_unused_kwargs=True)\nrest",
    "loaded, unknown keyword": "cls().save_pretrained(out)\ncls.from_pretrained(out, nonsense=1)",
    "loaded by AutoConfig": "cls().save_pretrained(out)\ntype(library.AutoConfig.from_pretrained(out)).__name__",
    "made by AutoConfig": "type(library.AutoConfig.for_model(cls.model_type)).__name__",
    "AutoConfig of nothing": "library.AutoConfig.for_model('nonsense')",
    "loaded from nowhere": "cls.from_pretrained(out + '/nothing')",
    "loaded from an empty folder": "cls.from_pretrained(out)",
    "loaded from text": "open(out + '/config.json', 'w').write('nonsense')\ncls.from_pretrained(out)",
    "unknown keys of a file": "open(out + '/config.json', 'w').write(json.dumps({'nonsense': 1, 'model_type': cls.model_type}))\n"
    "c = cls.from_pretrained(out)\n[c.nonsense, c.to_dict()['nonsense']]",
    "another type's file": "open(out + '/config.json', 'w').write(json.dumps({'model_type': 'nonsense'}))\ncls.from_pretrained(out)",
    "of a dictionary": f"c = cls.from_dict({{'num_labels': 3}}).to_dict()\n{KEEP}",
    "of a dictionary with changes": "cls.from_dict({'num_labels': 3}, num_labels=4).num_labels",
    "of a file": f"cls().to_json_file(out + '/c.json')\nc = cls.from_json_file(out + '/c.json').to_dict()\n{KEEP}",
    "get_config_dict": f"cls().save_pretrained(out)\nc, _ = cls.get_config_dict(out)\n{KEEP}",
    "three labels": "c = cls(num_labels=3)\n[c.num_labels, c.id2label, c.label2id]",
    "named labels": "c = cls(id2label={0: 'a', 1: 'b', 2: 'c'}, label2id={'a': 0, 'b': 1, 'c': 2})\n[c.num_labels, c.id2label]",
    "named labels as text": "c = cls(id2label={'0': 'a', '1': 'b'})\n[c.num_labels, c.id2label]",
    "labels set": "c = cls()\nc.num_labels = 4\n[c.num_labels, c.id2label]",
    "problem types": "[cls(problem_type=p).problem_type for p in ('regression', 'single_label_classification', 'multi_label_classification')]",
    "unknown problem type": "cls(problem_type='nonsense')",
    "flags": "c = cls()\n[c.output_attentions, c.output_hidden_states, c.return_dict, c.use_return_dict, c.is_decoder, c.add_cross_attention, "
    "c.tie_word_embeddings, c.is_encoder_decoder, c.chunk_size_feed_forward, c.pruned_heads, c.torch_dtype]",
    "flags set": "c = cls(output_attentions=True, output_hidden_states=True, return_dict=False)\n[c.output_attentions, c.output_hidden_states, c.use_return_dict]",
    "special tokens": "c = cls()\n[c.bos_token_id, c.pad_token_id, c.eos_token_id, c.sep_token_id, c.decoder_start_token_id]",
    "special tokens set": "c = cls(bos_token_id=5, pad_token_id=6, eos_token_id=7)\n[c.bos_token_id, c.pad_token_id, c.eos_token_id]",
    "generation": "c = cls()\n[c.max_length, c.min_length, c.num_beams, c.do_sample, c.early_stopping, c.length_penalty, c.top_k, c.temperature, "
    "c.repetition_penalty, c.no_repeat_ngram_size, c.num_return_sequences]",
    "generation set": "c = cls(max_length=7, num_beams=3)\n[c.max_length, c.num_beams, c.to_dict()['max_length']]",
    "unknown keyword": "cls(nonsense=1)",
    "a new attribute": "c = cls()\nc.something = 5\n[c.something, c.to_dict()['something']]",
    "a missing attribute": "cls().nonsense",
    "equal": "[cls() == cls(), cls() == cls(initializer_range=0.5), cls() != cls()]",
    "copied": "import copy\nc = cls()\n[copy.deepcopy(c) == c, copy.copy(c) == c]",
    "pickled": "import pickle\nc = cls()\npickle.loads(pickle.dumps(c)) == c",
    "updated": "c = cls()\nc.update({'initializer_range': 0.5, 'output_attentions': True})\n[c.initializer_range, c.output_attentions]",
    "updated from text": "c = cls()\nc.update_from_string('initializer_range=0.5')\nc.initializer_range",
    "updated by nonsense": "cls().update_from_string('nonsense=1')",
    "name_or_path": "cls.from_dict({}).name_or_path",
    "tie_word_embeddings": "cls(tie_word_embeddings=False).to_dict()['tie_word_embeddings']",
    "torch_dtype": "[str(cls(torch_dtype='float16').torch_dtype), cls(torch_dtype='float16').to_dict()['torch_dtype']]",
    "pruned_heads": "c = cls(pruned_heads={0: [1]})\n[c.pruned_heads, c.to_dict()['pruned_heads']]",
    "text": "str(cls())[:40]",
    "common aliases": "c = cls()\n[c.hidden_size, c.num_attention_heads, c.num_hidden_layers]",
    "vocabulary": "cls().vocab_size",
    "heads that do not divide": "c = cls(hidden_size=10, num_attention_heads=3)\nc.hidden_size",
    "size below 0": "cls(hidden_size=-4).hidden_size",
    "a text for a number": "cls(hidden_size='many').hidden_size",
    "a dropout above 1": "cls(hidden_dropout_prob=1.5).hidden_dropout_prob",
    "unknown activation": "cls(hidden_act='nonsense').hidden_act",
}  # fmt: skip
OF_ANY = "e, d = library.ViTConfig(num_hidden_layers=1), library.{}(num_hidden_layers=1)\n"
OF_ANY_CALLS = {
    "of two": "c = cls.from_encoder_decoder_configs(e, d)\n[c.decoder.is_decoder, c.decoder.add_cross_attention, "
    "type(c.encoder).__name__, c.encoder.num_hidden_layers, c.is_encoder_decoder]",
    "of two, as a dictionary": "c = cls.from_encoder_decoder_configs(e, d).to_dict()\n[c['model_type'], c['encoder']['model_type'], "
    "c['decoder']['is_decoder'], c['encoder']['num_hidden_layers']]",
    "of two, saved and loaded": "cls.from_encoder_decoder_configs(e, d).save_pretrained(out)\nc = cls.from_pretrained(out)\n"
    "[type(c.encoder).__name__, type(c.decoder).__name__, c.decoder.num_hidden_layers]",
    "of dictionaries": "c = cls(encoder=e.to_dict(), decoder=d.to_dict())\n[type(c.encoder).__name__, c.decoder.num_hidden_layers]",
    "with a start token": "cls.from_encoder_decoder_configs(e, d, decoder_start_token_id=5).decoder_start_token_id",
    "of an encoder alone": "cls(encoder=e.to_dict())",
}
TOWERS_CALLS = {
    "default of the towers": "c = cls().to_dict()\n{s: {k: c[s].get(k, 'absent') for k in names} for s, names in TOWERS.items()}",
    "towers saved": "cls().save_pretrained(out)\nc = json.load(open(out + '/config.json'))\n"
    "{s: {k: c[s].get(k, 'absent') for k in names} for s, names in TOWERS.items()}",
    "of two": "c = cls.from_text_vision_configs(t, v)\n[c.text_config.num_hidden_layers, c.vision_config.image_size, "
    "type(c.text_config).__name__, type(c.vision_config).__name__, c.projection_dim]",
    "of two with options": "c = cls.from_text_vision_configs(t, v, temperature_init_value=0.5)\nc.temperature_init_value",
    "of two by name": "cls.from_text_vision_configs(text_config=t, vision_config=v).text_config.num_hidden_layers",
    "of two, as a dictionary": "c = cls.from_text_vision_configs(t, v).to_dict()\n[c['model_type'], c['text_config']['model_type'], "
    "c['vision_config']['model_type'], c['text_config']['num_hidden_layers'], c['vision_config']['image_size']]",
    "of two, saved and loaded": "cls.from_text_vision_configs(t, v).save_pretrained(out)\nc = cls.from_pretrained(out)\n"
    "[type(c.text_config).__name__, type(c.vision_config).__name__, c.text_config.num_hidden_layers, c.vision_config.image_size]",
    "of dictionaries": "c = cls(text_config=t.to_dict(), vision_config=v.to_dict())\n"
    "[type(c.text_config).__name__, c.text_config.num_hidden_layers, c.vision_config.image_size]",
    "of dictionaries with two fields": "c = cls(text_config={'num_hidden_layers': 1}, vision_config={'image_size': 64})\n"
    "[c.text_config.num_hidden_layers, c.vision_config.image_size, c.text_config.hidden_size]",
    "of two configurations": "c = cls(text_config=t, vision_config=v)\nc.text_config.num_hidden_layers",
    "of one": "c = cls(text_config=t.to_dict())\n[c.text_config.num_hidden_layers, c.vision_config.image_size]",
    "towers changed": "c = cls()\nc.text_config.num_hidden_layers = 3\nc.to_dict()['text_config']['num_hidden_layers']",
    "a tower's configuration of the whole": "cls.from_text_vision_configs(t, v).save_pretrained(out)\n"
    "[type(t).from_pretrained(out).num_hidden_layers, type(v).from_pretrained(out).image_size]",
    "a tower's type by AutoConfig": "t.save_pretrained(out)\ntype(library.AutoConfig.from_pretrained(out)).__name__",
}  # fmt: skip
TOWERS = "t, v = library.{}(num_hidden_layers=1), library.{}(image_size=64)\n"


def add_settings(job: Job) -> None:
    """Every call of every configuration class, and each of its fields."""
    for model_type, row in registry.FAMILIES.items():
        config_class = registry.config_class_of(model_type)
        job.subjects[row.config] = {"kind": "config", "class": row.config}
        if composites.is_of_any(model_type):
            job.add(NEUTRAL, "configurations", row.config, {"made of nothing": "cls()"})
            for decoder in ("GPT2Config", "BertConfig", "Data2VecTextConfig"):
                codes = {f"{name}: {decoder}": OF_ANY.format(decoder) + code for name, code in OF_ANY_CALLS.items()}
                job.add(NEUTRAL, "configurations", row.config, codes)
            continue
        own = str(composites.config_fields(config_class))
        job.add(NEUTRAL, "configurations", row.config, {k: code.replace("OWN", own) for k, code in CALLS.items()})
        fields = [f.name for f in dataclasses.fields(config_class) if f.name != "_" and not f.name.startswith("_")]
        codes = {f"field {name}": f"getattr(cls(), {name!r})" for name in fields}
        job.add(NEUTRAL, "configurations", row.config, codes)
        if config_class.halves:
            job.add(NEUTRAL, "configurations", row.config, towers_codes(config_class))


def towers_codes(config_class: Any) -> dict[str, str]:
    """Calls of the configuration of two towers that are always its own."""
    towers = {side: type(tower) for side, tower in zip(config_class.halves, composites.halves_of(config_class()))}
    names = str({side: composites.config_fields(tower) for side, tower in towers.items()})
    made = TOWERS.format(*(tower.__name__ for tower in towers.values()))
    return {name: made + code.replace("TOWERS", names) for name, code in TOWERS_CALLS.items()}
