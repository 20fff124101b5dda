"""Masks of padding, and masks of their own for every position."""

import numpy as np
import pytest
import zoo

from multimodal import specs

ENTRIES = ("attention_mask", "decoder_attention_mask")
MASKED = tuple(
    (name, entry)
    for name in zoo.CLASSES
    for entry in ENTRIES
    if any(a.name == entry and a.other_shape for a in specs.of(name).arguments)
)
ONE_OF_EACH = ("BertModel", "Data2VecTextForTokenClassification", "GPT2LMHeadModel", zoo.COMPOSITE)


@pytest.mark.parametrize(("class_name", "entry"), [case for case in MASKED if case[0] in ONE_OF_EACH])
def test_a_mask_for_every_position_can_be_that_of_padding(load, kit, class_name, entry):
    model = load(class_name)
    inputs = zoo.inputs(class_name, model.config, 1, entry)
    inputs[entry][1, 3:] = 0
    plain = kit.call(model, **inputs)
    each = np.repeat(inputs[entry][:, None], zoo.LENGTH, 1)
    np.testing.assert_allclose(
        kit.numpy(zoo.main(kit.call(model, **(inputs | {entry: each})))),
        kit.numpy(zoo.main(plain)),
        rtol=1e-6,
        atol=1e-6,
    )
    each[:, -1] = 1 - each[:, -1] * np.array([1, 0, 0, 0, 0], np.int32)
    other = kit.numpy(zoo.main(kit.call(model, **(inputs | {entry: each}))))
    assert not np.allclose(other, kit.numpy(zoo.main(plain)), atol=1e-4)
    with pytest.raises(ValueError, match=f"{entry}: expected"):
        kit.call(model, **(inputs | {entry: each[:, :-1]}))


def test_an_encoder_that_sees_nothing_of_what_comes_is_a_decoder(load, kit):
    encoder = load("BertModel", is_decoder=False, add_cross_attention=False)
    decoder = load("BertModel", is_decoder=True, add_cross_attention=False)
    inputs = zoo.inputs("BertModel", encoder.config)
    before = np.tril(np.ones((zoo.BATCH, zoo.LENGTH, zoo.LENGTH), np.int32))
    masked = kit.numpy(kit.call(encoder, **inputs, attention_mask=before).last_hidden_state)
    np.testing.assert_allclose(masked, kit.numpy(kit.call(decoder, **inputs).last_hidden_state), rtol=1e-6, atol=1e-6)


def test_a_prompt_has_a_mask_of_padding(load, kit):
    model = load("GPT2LMHeadModel", add_cross_attention=False)
    mask = kit.array(np.ones((1, 3, 3), np.int32))
    with pytest.raises(ValueError, match=r"attention_mask: expected shape \(batch, length\) of a prompt's mask"):
        model.generate(kit.array(np.ones((1, 3), np.int32)), attention_mask=mask, pad_token_id=0)
