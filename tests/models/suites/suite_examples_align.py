"""The ALIGN examples of the seed (page 002), as printed, with `transformers` replaced by `multimodal`, in every framework.

They are PyTorch code; in the other two the same is said with their prefix, arrays and softmax. `kakaobrain/align-base` is a
small checkpoint of the whole model, whose towers load from it alone.
"""

import numpy as np
import published
import pytest
import zoo
from safetensors.numpy import load_file

import multimodal
from multimodal import AlignProcessor, BertTokenizerFast, EfficientNetImageProcessor

NAME = "kakaobrain/align-base"
URL = """
from PIL import Image
import requests
url = "http://images.cocodataset.org/val2017/000000039769.jpg"
image = Image.open(requests.get(url, stream=True).raw)
"""
SIMILARITY = f"""
import torch
from transformers import AlignProcessor, AlignModel
processor = AlignProcessor.from_pretrained("kakaobrain/align-base")
model = AlignModel.from_pretrained("kakaobrain/align-base")
{URL}
candidate_labels = ["an image of a cat", "an image of a dog"]
inputs = processor(images=image ,text=candidate_labels, return_tensors="pt")
with torch.no_grad():
    outputs = model(**inputs)
# this is the image-text similarity score
logits_per_image = outputs.logits_per_image
# we can take the softmax to get the label probabilities
probs = logits_per_image.softmax(dim=1)
print(probs)
"""
CONFIGURATION = """
from transformers import AlignConfig, AlignModel
configuration = AlignConfig(**small)
model = AlignModel(configuration)
configuration = model.config
from transformers import AlignTextConfig, AlignVisionConfig
config_text = AlignTextConfig()
config_vision = AlignVisionConfig()
config = AlignConfig.from_text_vision_configs(config_text, config_vision)
"""
PROCESSOR = """
from transformers import AlignProcessor
from PIL import Image
model_id = "kakaobrain/align-base"
processor = AlignProcessor.from_pretrained(model_id)
processed = processor(
    images=your_pil_image,
    text=["What is that?"],
    images_kwargs = {"crop_size": {"height": 224, "width": 224}},
    text_kwargs = {"padding": "do_not_pad"},
    common_kwargs = {"return_tensors": "pt"},
)
"""
TEXT_FEATURES = """
from transformers import AutoTokenizer, AlignModel
model = AlignModel.from_pretrained("kakaobrain/align-base")
tokenizer = AutoTokenizer.from_pretrained("kakaobrain/align-base")
inputs = tokenizer(["a photo of a cat", "a photo of a dog"], padding=True, return_tensors="pt")
text_features = model.get_text_features(**inputs)
"""
IMAGE_FEATURES = f"""
from transformers import AutoProcessor, AlignModel
model = AlignModel.from_pretrained("kakaobrain/align-base")
processor = AutoProcessor.from_pretrained("kakaobrain/align-base")
{URL}
inputs = processor(images=image, return_tensors="pt")
image_features = model.get_image_features(**inputs)
"""
TEXT_TOWER = """
from transformers import AutoTokenizer, AlignTextModel
model = AlignTextModel.from_pretrained("kakaobrain/align-base")
tokenizer = AutoTokenizer.from_pretrained("kakaobrain/align-base")
inputs = tokenizer(["a photo of a cat", "a photo of a dog"], padding=True, return_tensors="pt")
outputs = model(**inputs)
last_hidden_state = outputs.last_hidden_state
pooled_output = outputs.pooler_output  # pooled (EOS token) states
"""
IMAGE_TOWER = f"""
from transformers import AutoProcessor, AlignVisionModel
model = AlignVisionModel.from_pretrained("kakaobrain/align-base")
processor = AutoProcessor.from_pretrained("kakaobrain/align-base")
{URL}
inputs = processor(images=image, return_tensors="pt")
outputs = model(**inputs)
last_hidden_state = outputs.last_hidden_state
pooled_output = outputs.pooler_output  # pooled CLS states
"""
ELSEWHERE = {
    "tf": (
        ("import torch", "import tensorflow as tf"), ("with torch.no_grad():", "if True:"), ('"pt"', '"tf"'),
        ("logits_per_image.softmax(dim=1)", "tf.nn.softmax(logits_per_image, axis=1)"),
    ),
    "flax": (
        ("import torch", "import jax"), ("with torch.no_grad():", "if True:"), ('"pt"', '"np"'),
        ("logits_per_image.softmax(dim=1)", "jax.nn.softmax(logits_per_image, axis=1)"),
    ),
}  # fmt: skip
"""What an example says otherwise in a framework."""
MODELS = ("AlignModel", "AlignTextModel", "AlignVisionModel")


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """The whole model under its published name, with a processor."""
    root = tmp_path_factory.mktemp("hub")
    ids = published.vocabulary(root / NAME, "bert")
    text = zoo.half("align_text_model", vocab_size=len(ids), max_position_embeddings=64)
    zoo.write(root / NAME, "AlignModel", zoo.config("AlignModel", text_config=text), seed=8)
    images = EfficientNetImageProcessor(size=48, crop_size=40, do_center_crop=True)
    AlignProcessor(images, BertTokenizerFast.from_pretrained(root / NAME)).save_pretrained(root / NAME)
    return root


def run(code, hub, **names):
    """The names that a program leaves behind."""
    import examples

    code = code.replace("from transformers import", "from multimodal import")
    for old, new in ELSEWHERE.get(zoo.BACKEND, ()):
        code = code.replace(old, new)
    prefix = multimodal.registry.PREFIXES[zoo.BACKEND]
    for name in MODELS:
        code = code.replace(f" {name}", f" {prefix}{name}")
    with examples.surroundings(hub):
        exec(compile(code, "example", "exec"), names)
    return names


def test_similarity(hub, kit):
    left = run(SIMILARITY, hub)
    assert left["inputs"]["input_ids"].shape == (2, 64)
    assert left["inputs"]["pixel_values"].shape == (1, 3, 40, 40)
    probabilities = kit.numpy(left["probs"])
    assert probabilities.shape == (1, 2)
    assert probabilities.sum() == pytest.approx(1.0, rel=1e-5)
    scores = kit.numpy(left["logits_per_image"]).astype(np.float64)
    expected = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    np.testing.assert_allclose(probabilities, expected, rtol=1e-5)


def test_configuration(hub):
    small = {"text_config": zoo.half("align_text_model"), "vision_config": zoo.half("align_vision_model")}
    left = run(CONFIGURATION, hub, small={**small, "projection_dim": small["vision_config"].last_channels})
    assert left["configuration"] is left["model"].config
    assert left["config"] == multimodal.AlignConfig()
    assert (left["config"].projection_dim, left["config"].vision_config.num_blocks) == (640, 55)


def test_the_processor_with_keywords_for_each_kind(hub):
    from PIL import Image

    left = run(PROCESSOR, hub, your_pil_image=Image.effect_noise((60, 50), 90).convert("RGB"))
    assert left["processed"]["pixel_values"].shape == (1, 3, 224, 224)
    assert left["processed"]["input_ids"].shape[1] < 64


def test_features_are_what_the_whole_model_compares(hub, kit):
    left = run(SIMILARITY, hub)
    texts = run(TEXT_FEATURES, hub)
    assert texts["text_features"].shape == (2, texts["model"].config.projection_dim)
    images = kit.numpy(run(IMAGE_FEATURES, hub)["image_features"])
    unit = images / np.linalg.norm(images, axis=-1, keepdims=True)
    np.testing.assert_allclose(kit.numpy(left["outputs"].image_embeds), unit, rtol=1e-4, atol=1e-6)
    asked = {name: left["inputs"][name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    features = kit.numpy(left["model"].get_text_features(**asked))
    unit = features / np.linalg.norm(features, axis=-1, keepdims=True)
    np.testing.assert_allclose(kit.numpy(left["outputs"].text_embeds), unit, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("code", "prefix"), [(TEXT_TOWER, "text_model."), (IMAGE_TOWER, "vision_model.")])
def test_a_tower_loads_from_the_whole_model_alone(code, prefix, hub, tmp_path):
    left = run(code, hub)
    assert left["pooled_output"].shape[-1] == left["last_hidden_state"].shape[-1 if prefix == "text_model." else 1]
    report = left["model"].load_report
    assert not report.fresh
    assert not any(name.startswith(prefix) for name in report.unused)
    left["model"].save_pretrained(tmp_path)
    whole, alone = load_file(hub / NAME / "model.safetensors"), load_file(tmp_path / "model.safetensors")
    assert alone.keys() == {name.removeprefix(prefix) for name in whole if name.startswith(prefix)}
    assert all(np.array_equal(value, whole[prefix + name]) for name, value in alone.items())
