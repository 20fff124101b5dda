"""Calls of the image processors."""

from __future__ import annotations

from differential import sound
from differential.job import NEUTRAL, Job

import multimodal
from multimodal import registry

CALLS = {
    "a picture": "p(picture(40, 60), return_tensors='np')",
    "a square": "p(picture(224, 224), return_tensors='np')",
    "a tall one": "p(picture(300, 33), return_tensors='np')",
    "a large one": "p(picture(500, 400), return_tensors='np')",
    "one pixel": "p(picture(1, 1), return_tensors='np')",
    "without tensors": "v = p(picture(30, 40))['pixel_values']\n[type(v).__name__, len(v), type(v[0]).__name__, v[0].shape]",
    "type of the answer": "p(picture(30, 40), return_tensors='np')",
    "tensors of PyTorch": "p(picture(30, 40), return_tensors='pt')",
    "tensors of nothing": "p(picture(30, 40), return_tensors='nonsense')",
    "several": "p([picture(40, 60), picture(60, 40)], return_tensors='np')",
    "a tuple of pictures": "p((picture(40, 60), picture(60, 40)), return_tensors='np')",
    "a batch": "p(np.stack([picture(40, 60)] * 2), return_tensors='np')",
    "no pictures": "p([], return_tensors='np')",
    "of PIL": "p(Image.fromarray(picture(40, 60)), return_tensors='np')",
    "of PIL, grey": "p(Image.fromarray(picture(40, 60)).convert('L'), return_tensors='np')",
    "of PIL, transparent": "p(Image.fromarray(picture(40, 60)).convert('RGBA'), return_tensors='np')",
    "of PIL, palette": "p(Image.fromarray(picture(40, 60)).convert('P'), return_tensors='np')",
    "of PIL, converted": "p(Image.fromarray(picture(40, 60)).convert('L').convert('RGB'), return_tensors='np')",
    "channels first": "p(picture(40, 60).transpose(2, 0, 1), return_tensors='np')",
    "channels first, said": "p(picture(40, 60).transpose(2, 0, 1), input_data_format='channels_first', return_tensors='np')",
    "channels last, said": "p(picture(40, 60), input_data_format='channels_last', return_tensors='np')",
    "channels last out": "p(picture(40, 60), data_format='channels_last', return_tensors='np')",
    "as it came": "p(picture(40, 60), data_format='none', return_tensors='np')",
    "wrong order": "p(picture(40, 60), input_data_format='channels_first', return_tensors='np')",
    "unknown order": "p(picture(40, 60), data_format='nonsense', return_tensors='np')",
    "grey array": "p(picture(40, 60)[..., 0], return_tensors='np')",
    "one channel": "p(picture(40, 60, 1), image_mean=[0.5], image_std=[0.5], return_tensors='np')",
    "four channels": "p(picture(40, 60, 4), return_tensors='np')",
    "four channels, said": "p(picture(40, 60, 4), input_data_format='channels_last', image_mean=[0.5] * 4, image_std=[0.5] * 4, return_tensors='np')",
    "floats of 0 to 1": "p(picture(40, 60, 3, 'float32'), return_tensors='np')",
    "floats, not rescaled": "p(picture(40, 60, 3, 'float32'), do_rescale=False, return_tensors='np')",
    "float64": "p(picture(40, 60, 3, 'float64'), do_rescale=False, return_tensors='np')",
    "floats of 0 to 255": "p(picture(40, 60).astype('float32'), return_tensors='np')",
    "int64": "p(picture(40, 60, 3, 'int64'), return_tensors='np')",
    "int32": "p(picture(40, 60, 3, 'int32'), return_tensors='np')",
    "bools": "p(picture(40, 60) > 127, return_tensors='np')",
    "five axes": "p(picture(40, 60)[None, None], return_tensors='np')",
    "a text": "p('nonsense', return_tensors='np')",
    "nothing": "p(None, return_tensors='np')",
    "no argument": "p()",
    "a list of lists": "p(picture(4, 6).tolist(), return_tensors='np')",
    "not resized": "p(picture(40, 60), do_resize=False, return_tensors='np')",
    "not resized, two sizes": "p([picture(40, 60), picture(50, 60)], do_resize=False, return_tensors='np')",
    "not rescaled": "p(picture(40, 60), do_rescale=False, return_tensors='np')",
    "not normalised": "p(picture(40, 60), do_normalize=False, return_tensors='np')",
    "nothing done": "p(picture(40, 60), do_resize=False, do_rescale=False, do_normalize=False, return_tensors='np')",
    "only rescaled": "p(picture(40, 60), do_resize=False, do_normalize=False, return_tensors='np')",
    "only normalised": "p(picture(40, 60), do_resize=False, do_rescale=False, return_tensors='np')",
    "another factor": "p(picture(40, 60), rescale_factor=1 / 127.5, return_tensors='np')",
    "another mean": "p(picture(40, 60), image_mean=[0.1, 0.2, 0.3], image_std=[0.9, 0.8, 0.7], return_tensors='np')",
    "one mean for all": "p(picture(40, 60), image_mean=0.5, image_std=0.25, return_tensors='np')",
    "two means": "p(picture(40, 60), image_mean=[0.5, 0.5], return_tensors='np')",
    "nearest": "p(picture(40, 60), resample=0, return_tensors='np')",
    "bilinear": "p(picture(40, 60), resample=2, return_tensors='np')",
    "bicubic": "p(picture(40, 60), resample=3, return_tensors='np')",
    "lanczos": "p(picture(40, 60), resample=1, return_tensors='np')",
    "box": "p(picture(40, 60), resample=4, return_tensors='np')",
    "hamming": "p(picture(40, 60), resample=5, return_tensors='np')",
    "unknown resampling": "p(picture(40, 60), resample=9, return_tensors='np')",
    "another size": "p(picture(40, 60), size={'height': 30, 'width': 50}, return_tensors='np')",
    "size as a number": "p(picture(40, 60), size=30, return_tensors='np')",
    "size as a pair": "p(picture(40, 60), size=(30, 50), return_tensors='np')",
    "shortest edge": "p(picture(40, 60), size={'shortest_edge': 30}, return_tensors='np')",
    "size of nonsense": "p(picture(40, 60), size={'nonsense': 30}, return_tensors='np')",
    "size 0": "p(picture(40, 60), size={'height': 0, 'width': 10}, return_tensors='np')",
    "cropped": "p(picture(40, 60), do_center_crop=True, crop_size={'height': 20, 'width': 20}, return_tensors='np')",
    "not cropped": "p(picture(40, 60), do_center_crop=False, return_tensors='np')",
    "cropped beyond": "p(picture(40, 60), do_resize=False, do_center_crop=True, crop_size={'height': 70, 'width': 70}, return_tensors='np')",
    "crop as a number": "p(picture(40, 60), do_center_crop=True, crop_size=20, return_tensors='np')",
    "unknown option": "p(picture(40, 60), nonsense=1, return_tensors='np')",
    "images by name": "p(images=picture(40, 60), return_tensors='np')",
    "preprocess": "p.preprocess(picture(40, 60), return_tensors='np')",
    "made with a size": "make(size={'height': 20, 'width': 30}, do_center_crop=False)(picture(40, 60), return_tensors='np')",
    "made with a number": "q = make(size=20)\nq.size",
    "made with a mean": "make(image_mean=[0, 0, 0], image_std=[1, 1, 1])(picture(40, 60), return_tensors='np')",
    "made without resizing": "make(do_resize=False)(picture(40, 60), return_tensors='np')",
    "made with another resampling": "make(resample=0)(picture(40, 60), return_tensors='np')",
    "made with nonsense": "make(nonsense=1)",
    "size": "p.size",
    "crop_size": "p.crop_size",
    "resample": "int(p.resample)",
    "mean": "[p.image_mean, p.image_std]",
    "flags": "[p.do_resize, p.do_rescale, p.do_normalize, p.rescale_factor]",
    "model_input_names": "p.model_input_names",
    "to_dict": "d = p.to_dict()\n{k: d[k] for k in sorted(d)}",
    "to_json_string": "d = json.loads(p.to_json_string())\n{k: d[k] for k in sorted(d)}",
    "files": "p.save_pretrained(out)\nsorted(os.listdir(out))",
    "saved": "p.save_pretrained(out)\nd = json.load(open(out + '/preprocessor_config.json'))\n{k: d[k] for k in sorted(d)}",
    "saved and loaded": "p.save_pretrained(out)\ncls.from_pretrained(out)(picture(40, 60), return_tensors='np')",
    "loaded by AutoImageProcessor": "p.save_pretrained(out)\ntype(library.AutoImageProcessor.from_pretrained(out)).__name__",
    "loaded with options": "p.save_pretrained(out)\ncls.from_pretrained(out, do_resize=False)(picture(40, 60), return_tensors='np')",
    "loaded from nowhere": "cls.from_pretrained(out + '/nothing')",
    "loaded from an empty folder": "cls.from_pretrained(out)",
    "of a dictionary": "cls.from_dict(p.to_dict()).to_dict().keys() == p.to_dict().keys()",
    "resize": "p.resize(picture(40, 60), {'height': 20, 'width': 30})",
    "resize, nearest": "p.resize(picture(40, 60), {'height': 20, 'width': 30}, resample=0)",
    "resize, channels first": "p.resize(picture(40, 60), {'height': 20, 'width': 30}, data_format='channels_first')",
    "rescale": "p.rescale(picture(40, 60), 1 / 255)",
    "rescale, channels first": "p.rescale(picture(40, 60), 2.0, data_format='channels_first')",
    "normalize": "p.normalize(picture(40, 60, 3, 'float32'), [0.5] * 3, [0.25] * 3)",
    "normalize bytes": "p.normalize(picture(40, 60), [0.5] * 3, [0.25] * 3)",
    "normalize, channels first": "p.normalize(picture(40, 60, 3, 'float32'), [0.5] * 3, [0.25] * 3, data_format='channels_first')",
    "center_crop": "p.center_crop(picture(40, 60), {'height': 20, 'width': 30})",
    "center_crop beyond": "p.center_crop(picture(40, 60), {'height': 50, 'width': 80})",
    "center_crop of odd sizes": "p.center_crop(picture(41, 61), {'height': 20, 'width': 31})",
    "copied": "import copy\ncopy.deepcopy(p)(picture(40, 60), return_tensors='np')",
    "pickled": "import pickle\npickle.loads(pickle.dumps(p))(picture(40, 60), return_tensors='np')",
    "key of the answer": "list(p(picture(40, 60)).keys())",
    "attribute of the answer": "p(picture(40, 60), return_tensors='np').pixel_values",
    "item of the answer": "p(picture(40, 60), return_tensors='np')['nothing']",
}  # fmt: skip


OWN_CALLS = {
    "BeitImageProcessor": {
        "labels": "p(picture(40, 60), labels(), resample=0, return_tensors='np')",
        "labels of PIL": "p(picture(40, 60), Image.fromarray(labels()), resample=0, return_tensors='np')",
        "labels by name": "p(images=picture(40, 60), segmentation_maps=labels(), resample=0, return_tensors='np')",
        "labels as a list": "v = p(picture(40, 60), labels(), resample=0)['labels']\n[type(v).__name__, v[0].shape, str(v[0].dtype)]",
        "labels as tensors": "p([picture(40, 60)] * 2, [labels()] * 2, resample=0, return_tensors='pt')",
        "labels, reduced": "p(picture(40, 60), labels(), resample=0, do_reduce_labels=True, return_tensors='np')",
        "labels, not resized": "p(picture(40, 60), labels(), do_resize=False, do_center_crop=False, return_tensors='np')",
        "labels, cropped": "p(picture(40, 60), labels(), do_resize=False, crop_size={'height': 20, 'width': 31}, return_tensors='np')",
        "labels as pictures are": "p(picture(40, 60), labels(), return_tensors='np')['labels'].shape",
        "labels of another size": "p(picture(40, 60), labels()[:20], return_tensors='np')",
        "labels of one of two": "p([picture(40, 60)] * 2, [labels()], return_tensors='np')",
        "labels of three channels": "p(picture(40, 60), picture(40, 60), return_tensors='np')",
        "labels, many": "p(picture(40, 60), labels().astype('int64') + 300, do_resize=False, do_reduce_labels=True, return_tensors='np')",
        "made with the older name": "make(reduce_labels=True).do_reduce_labels",
        "read with the older name": "cls.from_dict({'reduce_labels': True}).do_reduce_labels",
        "segmented": "p.post_process_semantic_segmentation(scores())",
        "segmented, larger": "p.post_process_semantic_segmentation(scores(), [(40, 60), (33, 21)])",
        "segmented, smaller": "p.post_process_semantic_segmentation(scores(), target_sizes=[(5, 6), (1, 1)])",
        "segmented, one size for two": "p.post_process_semantic_segmentation(scores(), [(40, 60)])",
        "segmented, type": "m = p.post_process_semantic_segmentation(scores())\n[type(m).__name__, type(m[0]).__name__, str(m[0].dtype)]",
    },
    "TvltImageProcessor": {
        "a video": "p([picture(40, 60), picture(40, 60)], return_tensors='np')",
        "a video as an array": "p(np.stack([picture(40, 60)] * 3), return_tensors='np')",
        "videos": "p([[picture(40, 60)] * 2, [picture(50, 60)] * 2], return_tensors='np')",
        "videos of two lengths": "p([[picture(40, 60)] * 2, [picture(50, 60)]], return_tensors='np')",
        "videos as an array": "p(np.stack([np.stack([picture(40, 60)] * 2)] * 2), return_tensors='np')",
        "too long a video": "p([picture(40, 60)] * 9, return_tensors='np')",
        "mixed": "p([picture(40, 60)] * 2, is_mixed=True, return_tensors='np')",
        "made for more frames": "make(num_frames=10)([picture(40, 60)] * 9, return_tensors='np')",
        "made with other patches": "make(patch_size=[32, 56])([picture(40, 60)] * 2, return_tensors='np')",
        "frames of pictures": "p([Image.fromarray(picture(40, 60))] * 2, return_tensors='np')",
        "more settings": "[p.patch_size, p.num_frames]",
    },
    "EfficientNetImageProcessor": {
        "with an offset": "p(picture(40, 60), rescale_factor=1 / 127.5, rescale_offset=True, return_tensors='np')",
        "without a top": "p(picture(40, 60), include_top=False, return_tensors='np')",
        "a top alone": "p(picture(40, 60), do_rescale=False, do_normalize=False, return_tensors='np')",
        "an offset without rescaling": "p(picture(40, 60), do_rescale=False, rescale_offset=True, return_tensors='np')",
        "made for ALIGN": "make(include_top=False, rescale_offset=True, rescale_factor=1 / 127.5, do_normalize=False, do_center_crop=True, resample=2)(picture(400, 360), return_tensors='np')",
        "rescale without an offset": "p.rescale(picture(40, 60), 1 / 255, offset=False)",
        "rescale by name": "p.rescale(image=picture(40, 60), scale=1 / 127.5, offset=True)",
    },
}  # fmt: skip

BOTH = {
    "both": "p(text=['a cat', 'two dogs'], images=picture(40, 60), return_tensors='np')",
    "by place": "p(['a cat', 'two dogs'], picture(40, 60), return_tensors='np')",
    "pictures by place": "p(picture(40, 60))",
    "texts": "p(text=['a cat', 'two dogs'], return_tensors='np')",
    "pictures": "p(images=[picture(40, 60), picture(30, 20)], return_tensors='np')",
    "one text": "p('a cat')",
    "type of the answer": "[type(v).__name__ for v in (p('a cat', picture(40, 60)), p('a cat'), p(images=picture(40, 60)))]",
    "nothing": "p()",
    "keys": "list(p('a cat', picture(40, 60)))",
    "another length": "p('a cat', max_length=9)",
    "longest": "p(['a cat', 'two dogs and a bird'], padding=True)",
    "as they are": "p(['a cat', 'two dogs and a bird'], padding='do_not_pad')",
    "not padded": "p('a cat', padding=False)",
    "long": "p('a cat ' * 60)",
    "long, cut": "p('a cat ' * 60, truncation=True)",
    "long, not padded": "p('a cat ' * 60, padding=False)",
    "unknown option": "p('a cat', nonsense=1)",
    "option of a dictionary": "p('a cat', text_kwargs={'max_length': 9})",
    "decode": "p.decode(p('a cat')['input_ids'])",
    "decode, skipping": "p.batch_decode(p(['a cat', 'two dogs'])['input_ids'], skip_special_tokens=True)",
    "model_input_names": "p.model_input_names",
    "files": "p.save_pretrained(out)\nsorted(os.listdir(out))",
    "class in the files": "p.save_pretrained(out)\n[json.load(open(out + '/' + f))['processor_class'] for f in ('preprocessor_config.json', 'tokenizer_config.json')]",
    "saved and loaded": "p.save_pretrained(out)\ncls.from_pretrained(out)(['a cat'], picture(40, 60), return_tensors='np')",
    "loaded by AutoProcessor": "p.save_pretrained(out)\ntype(library.AutoProcessor.from_pretrained(out)).__name__",
    "parts": "[type(p.image_processor).__name__, type(p.tokenizer).__name__]",
    "made of numbers": "cls(1, 2)",
    "made of one": "cls(p.image_processor)",
    "loaded from an empty folder": "cls.from_pretrained(out)",
}  # fmt: skip


COMBINED = {
    ("image_processor", "tokenizer"): BOTH,
    ("feature_extractor", "tokenizer"): sound.SPEECH,
    ("image_processor", "feature_extractor"): sound.HEARD_AND_SEEN,
}
SMALL = {
    "EfficientNetImageProcessor": {"size": {"height": 20, "width": 30}},
    "TvltImageProcessor": {
        "size": {"shortest_edge": 20},
        "crop_size": {"height": 16, "width": 16},
        "patch_size": [8, 8],
    },
}
"""Options of what is combined."""


def add_pictures(job: Job) -> None:
    """Every call of every image processor and feature extractor, and of what combines one with another or a tokenizer."""
    for name in registry.PROCESSOR_MODULES:
        if name.endswith("ImageProcessor"):
            job.subjects[name] = {"kind": "images", "class": name}
            job.add(NEUTRAL, "images", name, CALLS | OWN_CALLS.get(name, {}))
        elif name in sound.OWN_EXTRACTOR:
            job.subjects[name] = {"kind": "images", "class": name}
            job.add(NEUTRAL, "sound", name, sound.EXTRACTOR | sound.OWN_EXTRACTOR[name])
        elif name.endswith("Processor"):
            parts = {place: names[-1] for place, names in getattr(multimodal, name).parts.items()}
            options = {one: SMALL.get(one, {}) for one in parts.values()}
            job.subjects[name] = {"kind": "processor", "class": name, "parts": parts, "options": options}
            job.add(NEUTRAL, "processors", name, COMBINED[tuple(parts)])
