"""Calls about sound: of feature extractors, of what combines them with others, and of the models that hear."""

from __future__ import annotations

from collections.abc import Iterator

from multimodal.specs.base import Specification

RATE = "sampling_rate=p.sampling_rate"
EXTRACTOR = {
    "a clip": f"p(sound(4000), {RATE}, return_tensors='np')",
    "a short clip": f"p(sound(600), {RATE}, return_tensors='np')",
    "a long clip": f"p(sound(30000), {RATE}, return_tensors='np')",
    "without tensors": f"v = p(sound(4000), {RATE})\n{{k: [type(a).__name__, len(a), type(a[0]).__name__, np.shape(a[0])] for k, a in v.items()}}",
    "type of the answer": f"p(sound(4000), {RATE}, return_tensors='np')",
    "tensors of PyTorch": f"p(sound(4000), {RATE}, return_tensors='pt')",
    "tensors of nothing": f"p(sound(4000), {RATE}, return_tensors='nonsense')",
    "a clip in a list": f"p([sound(4000)], {RATE}, return_tensors='np')",
    "several of one length": f"p([sound(4000), sound(4000, 5.0)], {RATE}, return_tensors='np')",
    "a tuple of clips": f"p((sound(4000), sound(4000, 5.0)), {RATE}, return_tensors='np')",
    "a batch": f"p(np.stack([sound(4000), sound(4000, 5.0)]), {RATE}, return_tensors='np')",
    "a list of numbers": f"p(sound(4000).tolist(), {RATE}, return_tensors='np')",
    "lists of numbers": f"p([sound(4000).tolist(), sound(4000, 5.0).tolist()], {RATE}, return_tensors='np')",
    "float64": f"p(sound(4000).astype('float64'), {RATE}, return_tensors='np')",
    "integers of 16 bits": f"p((sound(4000) * 32767).astype('int16'), {RATE}, return_tensors='np')",
    "silence": f"p(np.zeros(4000, 'float32'), {RATE}, return_tensors='np')",
    "two channels": f"p(np.stack([sound(4000)] * 2, -1)[None], {RATE}, return_tensors='np')",
    "four axes": f"p(sound(4000)[None, None, None], {RATE}, return_tensors='np')",
    "no samples": f"p(np.zeros(0, 'float32'), {RATE}, return_tensors='np')",
    "no clips": f"p([], {RATE}, return_tensors='np')",
    "a text": f"p('nonsense', {RATE}, return_tensors='np')",
    "nothing": f"p(None, {RATE}, return_tensors='np')",
    "no argument": "p()",
    "no rate": "p(sound(4000), return_tensors='np')",
    "another rate": "p(sound(4000), sampling_rate=8000, return_tensors='np')",
    "no mask": f"p([sound(4000)], {RATE}, return_attention_mask=False, return_tensors='np')",
    "a mask": f"p([sound(4000)], {RATE}, return_attention_mask=True, return_tensors='np')",
    "raw_speech by name": f"p(raw_speech=sound(4000), {RATE}, return_tensors='np')",
    "unknown option": f"p(sound(4000), {RATE}, nonsense=1, return_tensors='np')",
    "made with nonsense": "make(nonsense=1)",
    "made for another rate": "q = make(sampling_rate=8000)\n[q.sampling_rate, q(sound(4000), sampling_rate=8000, return_tensors='np')]",
    "made with a padding value": "make(padding_value=-1.0).padding_value",
    "settings": "[p.feature_size, p.sampling_rate, p.padding_value]",
    "model_input_names": "p.model_input_names",
    "to_dict": "d = p.to_dict()\n{k: d[k] for k in sorted(d) if k != 'mel_filters'}",
    "to_json_string": "d = json.loads(p.to_json_string())\n{k: d[k] for k in sorted(d)}",
    "files": "p.save_pretrained(out)\nsorted(os.listdir(out))",
    "saved": "p.save_pretrained(out)\nd = json.load(open(out + '/preprocessor_config.json'))\n{k: d[k] for k in sorted(d)}",
    "saved and loaded": f"p.save_pretrained(out)\ncls.from_pretrained(out)(sound(4000), {RATE}, return_tensors='np')",
    "loaded by AutoFeatureExtractor": "p.save_pretrained(out)\ntype(library.AutoFeatureExtractor.from_pretrained(out)).__name__",
    "loaded by AutoProcessor": "p.save_pretrained(out)\ntype(library.AutoProcessor.from_pretrained(out)).__name__",
    "loaded with options": "p.save_pretrained(out)\ncls.from_pretrained(out, padding_value=1.0).padding_value",
    "loaded from nowhere": "cls.from_pretrained(out + '/nothing')",
    "loaded from an empty folder": "cls.from_pretrained(out)",
    "of a dictionary": "cls.from_dict(p.to_dict()).to_dict().keys() == p.to_dict().keys()",
    "copied": f"import copy\ncopy.deepcopy(p)(sound(4000), {RATE}, return_tensors='np')",
    "pickled": f"import pickle\npickle.loads(pickle.dumps(p))(sound(4000), {RATE}, return_tensors='np')",
    "key of the answer": f"list(p(sound(4000), {RATE}).keys())",
    "item of the answer": f"p(sound(4000), {RATE}, return_tensors='np')['nothing']",
}  # fmt: skip
TWO = f"[sound(4000), sound(2500, 5.0)], {RATE}"
OWN_EXTRACTOR = {
    "Wav2Vec2FeatureExtractor": {
        "attribute of the answer": f"p(sound(4000), {RATE}, return_tensors='np').input_values",
        "two lengths": f"p({TWO}, return_tensors='np')",
        "two lengths as lists": f"v = p({TWO})['input_values']\n[np.asarray(r) for r in v]",
        "padded": f"p({TWO}, padding=True, return_tensors='np')",
        "padded to the longest": f"p({TWO}, padding='longest', return_tensors='np')",
        "padded to a length": f"p({TWO}, padding='max_length', max_length=5000, return_tensors='np')",
        "padded to no length": f"p({TWO}, padding='max_length', return_tensors='np')",
        "padded to multiples": f"p({TWO}, padding=True, pad_to_multiple_of=128, return_tensors='np')",
        "padded, with a mask": f"p({TWO}, padding=True, return_attention_mask=True, return_tensors='np')",
        "padded on the left": f"make(padding_side='left')({TWO}, padding=True, return_attention_mask=True, return_tensors='np')",
        "padded with ones": f"make(padding_value=1.0)({TWO}, padding=True, return_attention_mask=True, return_tensors='np')",
        "padded with ones, without a mask": f"make(padding_value=1.0)({TWO}, padding=True, return_tensors='np')",
        "unknown padding": f"p({TWO}, padding='nonsense')",
        "truncated": f"p({TWO}, truncation=True, max_length=2000, return_tensors='np')",
        "truncated and padded": f"p({TWO}, truncation=True, padding=True, max_length=3000, return_attention_mask=True, return_tensors='np')",
        "truncated and padded to a length": f"p({TWO}, truncation=True, padding='max_length', max_length=3000, return_attention_mask=True, return_tensors='np')",
        "truncated without a length": f"p({TWO}, truncation=True)",
        "a length alone": f"p({TWO}, max_length=3000)['input_values'][0].shape",
        "made with a mask": f"make(return_attention_mask=True)({TWO}, padding=True, return_tensors='np')",
        "made without normalisation": f"make(do_normalize=False)({TWO}, padding=True, return_tensors='np')",
        "flags": "[p.do_normalize, p.return_attention_mask, p.padding_side]",
        "padding of answers": f"p.pad(p({TWO}), padding=True, return_tensors='np')",
        "padding of answers, with a mask": f"p.pad(p({TWO}, return_attention_mask=True), padding=True, return_tensors='np')",
        "padding of a list": "p.pad([{'input_values': [1.0, 2.0]}, {'input_values': [1.0, 2.0, 3.0]}], return_tensors='np')",
        "padding of a list, masked": "p.pad([{'input_values': [1.0, 2.0]}, {'input_values': [1.0, 2.0, 3.0]}], return_attention_mask=True, return_tensors='np')",
        "padding to a length": "p.pad({'input_values': [[1.0, 2.0]]}, padding='max_length', max_length=5, return_tensors='np')",
        "padding of nothing": "p.pad({'x': [1]})",
    },
    "TvltFeatureExtractor": {
        "attribute of the answer": f"p(sound(4000), {RATE}, return_tensors='np').audio_values",
        "two lengths": f"p({TWO}, return_tensors='np')",
        "made for short sound": f"make(spectrogram_length=4)(sound(4000), {RATE}, return_tensors='np')",
        "made with other patches": f"make(patch_size=[4, 8], feature_size=64)(sound(4000), {RATE}, return_tensors='np')",
        "made with other windows": f"make(n_fft=1024, hop_length_to_sampling_rate=172)(sound(4000), {RATE}, return_tensors='np')",
        "hidden": f"p(sound(4000), {RATE}, mask_audio=True, return_tensors='np')",
        "more settings": "[p.spectrogram_length, p.num_channels, p.patch_size, p.n_fft, p.hop_length_to_sampling_rate if hasattr(p, 'hop_length_to_sampling_rate') else None]",
        "hop length": "p.hop_length",
    },
}  # fmt: skip
SPEECH = {
    "sound": "p(sound(4000), sampling_rate=16000, return_tensors='np')",
    "sound by name": "p(audio=sound(4000), sampling_rate=16000, return_tensors='np')",
    "sound by its older name": "p(raw_speech=sound(4000), sampling_rate=16000, return_tensors='np')",
    "text": "p(text='HELLO THERE')",
    "texts": "p(text=['HELLO', 'THERE YOU'], padding=True, return_tensors='np')",
    "both": "p(sound(4000), sampling_rate=16000, text='HELLO', return_tensors='np')",
    "both, in batches": "p([sound(4000), sound(2500)], sampling_rate=16000, text=['HELLO', 'YOU'], padding=True, return_tensors='np')",
    "keys": "list(p(sound(4000), sampling_rate=16000, text='HELLO'))",
    "type of the answer": "[type(v).__name__ for v in (p(sound(4000), sampling_rate=16000, text='A'), p(sound(4000), sampling_rate=16000), p(text='A'))]",
    "nothing": "p()",
    "padded": "p([sound(4000), sound(2500)], sampling_rate=16000, padding=True, return_tensors='np')",
    "another rate": "p(sound(4000), sampling_rate=8000)",
    "as target": "with p.as_target_processor():\n  y = p('HELLO')\ny",
    "pad": "p.pad(p.feature_extractor([sound(4000), sound(2500)], sampling_rate=16000), padding=True, return_tensors='np')",
    "pad with labels": "p.pad(p.feature_extractor([sound(4000), sound(2500)], sampling_rate=16000), "
    "labels=[{'input_ids': [5, 6]}, {'input_ids': [5]}], padding=True, return_tensors='np')",
    "pad of labels": "p.pad(labels=[{'input_ids': [5, 6]}, {'input_ids': [5]}], padding=True, return_tensors='np')",
    "decode": "p.decode([5, 5, 0, 5, 6, 6, 0, 7])",
    "decode, letters apart": "p.decode([5, 5, 0, 5, 6, 6, 0, 7], group_tokens=False)",
    "batch_decode": "p.batch_decode(np.array([[5, 5, 0, 5], [6, 6, 0, 7]]))",
    "batch_decode with offsets": "p.batch_decode(np.array([[5, 5, 0, 5], [6, 4, 0, 7]]), output_char_offsets=True, output_word_offsets=True)",
    "unknown option": "p(sound(4000), sampling_rate=16000, nonsense=1)",
    "files": "p.save_pretrained(out)\nsorted(os.listdir(out))",
    "class in the files": "p.save_pretrained(out)\n[json.load(open(out + '/' + f)).get('processor_class') for f in ('preprocessor_config.json', 'tokenizer_config.json')]",
    "saved and loaded": "p.save_pretrained(out)\ncls.from_pretrained(out)(sound(4000), sampling_rate=16000, text='HELLO', return_tensors='np')",
    "loaded by AutoProcessor": "p.save_pretrained(out)\ntype(library.AutoProcessor.from_pretrained(out)).__name__",
    "loaded with options": "p.save_pretrained(out)\nq = cls.from_pretrained(out, do_lower_case=True)\nq.tokenizer.do_lower_case",
    "parts": "[type(p.feature_extractor).__name__, type(p.tokenizer).__name__]",
    "made of numbers": "cls(1, 2)",
    "made of one": "cls(p.feature_extractor)",
    "loaded from an empty folder": "cls.from_pretrained(out)",
}  # fmt: skip
VIDEO = "[picture(40, 60), picture(40, 60)]"
HEARD_AND_SEEN = {
    "both": f"p({VIDEO}, sound(4000), sampling_rate=44100, return_tensors='np')",
    "both by name": f"p(images={VIDEO}, audio=sound(4000), sampling_rate=44100, return_tensors='np')",
    "pictures": f"p(images={VIDEO}, return_tensors='np')",
    "sound": "p(audio=sound(4000), sampling_rate=44100, return_tensors='np')",
    "mixed pictures": f"p({VIDEO}, sound(4000), {VIDEO}, sampling_rate=44100, return_tensors='np')",
    "two videos": f"p([{VIDEO}, {VIDEO}], [sound(4000), sound(2500)], sampling_rate=44100, return_tensors='np')",
    "hidden": f"p({VIDEO}, sound(4000), sampling_rate=44100, mask_audio=True, mask_pixel=True, return_tensors='np')",
    "nothing": "p()",
    "no rate": f"p({VIDEO}, sound(4000), return_tensors='np')",
    "keys": f"list(p({VIDEO}, sound(4000), {VIDEO}, sampling_rate=44100))",
    "type of the answer": f"type(p({VIDEO}, sound(4000), sampling_rate=44100)).__name__",
    "model_input_names": "p.model_input_names",
    "files": "p.save_pretrained(out)\nsorted(os.listdir(out))",
    "saved and loaded": f"p.save_pretrained(out)\ncls.from_pretrained(out)({VIDEO}, sound(4000), sampling_rate=44100, return_tensors='np')",
    "loaded by AutoProcessor": "p.save_pretrained(out)\ntype(library.AutoProcessor.from_pretrained(out)).__name__",
    "parts": "[type(p.image_processor).__name__, type(p.feature_extractor).__name__]",
    "made of numbers": "cls(1, 2)",
    "made of one": "cls(p.image_processor)",
    "loaded from an empty folder": "cls.from_pretrained(out)",
}  # fmt: skip


def call_codes(spec: Specification, plain: list[str]) -> Iterator[tuple[str, str]]:
    """(name, code) of the forward calls of what hears."""
    if "input_values" in plain:
        yield from CLIPS.items()
        yield from HEARD.get(spec.name, {}).items()
    if "audio_values" in plain:
        yield from VIDEOS.items()
        yield from HEARD.get(spec.name, {}).items()


CLIP = "model(**{{**inputs, 'input_values': {}}})"
MASKED = "x = tensor(np.tile(np.asarray(inputs['input_values']), 2))\nm = np.ones(x.shape, 'int64')\n{}\n"
CLIPS = {
    "a longer clip": CLIP.format("tensor(np.tile(np.asarray(inputs['input_values']), 3))"),
    "a shorter clip": CLIP.format("inputs['input_values'][:, :14]"),
    "too short a clip": CLIP.format("inputs['input_values'][:, :2]"),
    "silence": CLIP.format("tensor(np.zeros((2, 20), 'float32'))"),
    "a clip of integers": CLIP.format("tensor(np.ones((2, 20), 'int64'))"),
    "a clip of channels": CLIP.format("inputs['input_values'][:, None]"),
    "a clip as a list": CLIP.format("np.asarray(inputs['input_values']).tolist()"),
    "no clips": CLIP.format("tensor(np.zeros((0, 20), 'float32'))"),
    "a clip of nothing": CLIP.format("tensor(np.zeros((2, 0), 'float32'))"),
    "a clip that is not finite": CLIP.format("tensor(np.full((2, 20), np.nan, 'float32'))"),
    "half of a clip": MASKED.format("m[1, 20:] = 0") + "model(input_values=x, attention_mask=tensor(m))",
    "lengths of frames": MASKED.format("m[0, 31:] = 0; m[1, 18:] = 0") + "model(input_values=x, attention_mask=tensor(m))",
    "states of half of a clip": MASKED.format("m[1, 20:] = 0")
    + "model(input_values=x, attention_mask=tensor(m), output_hidden_states=True, output_attentions=True)",
    "a mask with a hole": MASKED.format("m[1, 10:20] = 0") + "model(input_values=x, attention_mask=tensor(m))",
    "features alone": "m = load()\nm.freeze_feature_encoder()\nm.num_parameters() - m.num_parameters(only_trainable=True)",
    "base model frozen": "m = load()\nm.freeze_base_model()\nm.num_parameters(only_trainable=True)",
    "an adapter, drawn": "shapes(load(add_adapter=True, num_adapter_layers=1)(**inputs))",
}  # fmt: skip
LABELLED = "model(**inputs, labels={})"
ONE_HOT = "tensor(np.eye(model.config.num_labels, dtype='float32')[np.arange(2 * {0}).reshape(2, {0}) % model.config.num_labels])"
HEARD = {
    "Data2VecAudioModel": {
        "masked in time": "load(apply_spec_augment=True)(**inputs, mask_time_indices=more['mask_time_indices'])",
    },
    "Data2VecAudioForCTC": {
        "mean loss": "load(ctc_loss_reduction='mean')(**inputs, labels=more['labels'])",
        "loss without infinities": "load(ctc_zero_infinity=True)(**inputs, labels=tensor(np.arange(40).reshape(2, 20) % 90 + 3))",
        "loss of too many labels": LABELLED.format("tensor(np.arange(40).reshape(2, 20) % 90 + 3)"),
        "loss with a mask": "model(**inputs, attention_mask=more['attention_mask'], labels=more['labels'])",
        "loss of twins": LABELLED.format("tensor(np.full((2, 2), 5))"),
        "loss in training mode": "load().train()(**inputs, labels=more['labels'])",
    },
    "Data2VecAudioForSequenceClassification": {
        "layers weighted": "load(use_weighted_layer_sum=True)(**inputs)",
        "loss with a mask": "model(**inputs, attention_mask=more['attention_mask'], labels=more['labels'])",
    },
    "Data2VecAudioForAudioFrameClassification": {
        "loss of one-hot labels": LABELLED.format(ONE_HOT.format("model(**inputs)[0].shape[1]".replace("{", "").replace("}", ""))),
        "layers weighted": "load(use_weighted_layer_sum=True)(**inputs)",
    },
    "Data2VecAudioForXVector": {
        "layers weighted": "load(use_weighted_layer_sum=True)(**inputs)",
        "vectors with a mask": "model(**inputs, attention_mask=more['attention_mask'])",
    },
    "TvltModel": {
        "hidden pixels": "shapes(model(**inputs, mask_pixel=True))",
        "hidden sound": "shapes(model(**inputs, mask_audio=True))",
        "both hidden": "shapes(model(**inputs, mask_pixel=True, mask_audio=True))",
        "both hidden by patches": "shapes(load(audio_mask_type='patch-level')(**inputs, mask_pixel=True, mask_audio=True))",
        "number hidden": "y = model(**inputs, mask_pixel=True, mask_audio=True)\n[array(y.pixel_label_masks).sum(), array(y.audio_label_masks).sum()]",
        "mean of the states": "load(use_mean_pooling=True)(**inputs)",
    },
    "TvltForPreTraining": {
        "shapes in training mode": "shapes(load().train()(**inputs))",
        "matching alone": "load(task_mae=False).train()(**inputs)",
        "rebuilding alone": "shapes(load(task_matching=False).train()(pixel_values=inputs['pixel_values'], "
        "audio_values=inputs['audio_values']))",
        "without labels": "model(**{k: v for k, v in inputs.items() if k != 'labels'})",
        "nothing mixed": "model(**{k: v for k, v in inputs.items() if k != 'pixel_values_mixed'})",
        "every mask": "model(**inputs, pixel_mask=more['pixel_mask'], audio_mask=more['audio_mask'], "
        "pixel_mask_mixed=more['pixel_mask_mixed'])",
        "gradients of the matching": "m = load()\nm(**inputs).loss.backward()\n"
        "sum(float((p.grad.double() ** 2).sum()) for p in m.parameters() if p.grad is not None)",
    },
    "TvltForAudioVisualClassification": {
        "loss of a regression": "load(loss_type='regression')(**inputs, labels=tensor(np.ones((2, 2), 'float32')))",
        "loss in training mode": "load().train()(**inputs, labels=more['labels'])",
    },
}  # fmt: skip
SOUND = "model(**{{**inputs, 'audio_values': {}}})"
PIXELS = "model(**{{**inputs, 'pixel_values': {}}})"
VIDEOS = {
    "fewer frames": PIXELS.format("inputs['pixel_values'][:, :2]"),
    "one frame": PIXELS.format("inputs['pixel_values'][:, :1]"),
    "too many frames": PIXELS.format("tensor(np.tile(np.asarray(inputs['pixel_values']), (1, 3, 1, 1, 1)))"),
    "no frames": PIXELS.format("inputs['pixel_values'][:, :0]"),
    "pictures alone": "model(pixel_values=inputs['pixel_values'])",
    "sound alone": "model(audio_values=inputs['audio_values'])",
    "shorter sound": SOUND.format("inputs['audio_values'][:, :, :4]"),
    "too long a sound": SOUND.format("tensor(np.tile(np.asarray(inputs['audio_values']), (1, 1, 3, 1)))"),
    "sound in part of a patch": SOUND.format("inputs['audio_values'][:, :, :5]"),
    "fewer bands": SOUND.format("inputs['audio_values'][..., :10]"),
    "both with masks": "model(**inputs, pixel_mask=more['pixel_mask'], audio_mask=more['audio_mask'])",
}  # fmt: skip
