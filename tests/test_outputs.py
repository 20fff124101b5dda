"""Outputs are ordered mappings of what is there, with attributes, and tuples where they are asked by number."""

import copy
import pickle

import pytest

from multimodal.modeling import outputs
from multimodal.modeling.outputs import BaseModelOutputWithPooling, ModelOutput
from multimodal.specs import lxmert
from multimodal.specs.lxmert import LxmertForPreTrainingOutput

EVERY = outputs.output_classes()


@pytest.fixture
def answer():
    return BaseModelOutputWithPooling(attentions=(3, 4), last_hidden_state=1, pooler_output=2)


def test_fields_come_in_the_documented_order_and_none_is_left_out(answer):
    assert list(answer) == ["last_hidden_state", "pooler_output", "attentions"]
    assert answer.to_tuple() == (1, 2, (3, 4)) == tuple(answer.values())
    assert (answer[0], answer[-1], answer[:2], answer["pooler_output"]) == (1, (3, 4), (1, 2), 2)
    assert answer.hidden_states is None
    with pytest.raises(KeyError):
        answer["hidden_states"]


def test_a_false_value_is_there():
    assert BaseModelOutputWithPooling(last_hidden_state=0, hidden_states=()).to_tuple() == (0, ())


def test_a_field_can_be_set_and_another_cannot(answer):
    answer.pooler_output = 5
    answer["last_hidden_state"] = 6
    assert answer.to_tuple() == (6, 5, (3, 4))
    with pytest.raises(ValueError, match="unknown field 'logits', expected one of"):
        answer.logits = 1
    with pytest.raises(ValueError, match="unknown fields"):
        BaseModelOutputWithPooling(logits=1)
    with pytest.raises(AttributeError, match="no field 'logits'; it has last_hidden_state, pooler_output, attentions"):
        answer.logits  # noqa: B018 - the look-up is what is tested


def test_what_stands_beside_is_no_item_and_is_found_by_name():
    answer = LxmertForPreTrainingOutput(loss=3, matched_loss=1, visual_obj_loss=2, masked_lm_loss=None)
    assert answer.to_tuple() == (3,)
    assert list(answer) == ["loss"]
    assert (answer.matched_loss, answer["visual_obj_loss"], answer.masked_lm_loss) == (1, 2, None)
    assert answer.everything() == {"loss": 3, "matched_loss": 1, "visual_obj_loss": 2}


@pytest.mark.parametrize("copied", [lambda a: pickle.loads(pickle.dumps(a)), copy.copy, copy.deepcopy])
def test_a_copy_is_the_same(copied):
    answer = LxmertForPreTrainingOutput(loss=3, matched_loss=1)
    again = copied(answer)
    assert type(again) is LxmertForPreTrainingOutput
    assert again.everything() == answer.everything()


def test_every_output_is_listed_once_and_names_its_fields_once():
    defined = [*vars(outputs).values(), *vars(lxmert).values()]
    public = [v for v in defined if isinstance(v, type) and issubclass(v, ModelOutput)]
    assert set(EVERY) == set(public)
    assert len(EVERY) == len(set(EVERY))
    for cls in EVERY[1:]:
        everything = (*cls.fields, *cls.beside)
        assert len(everything) == len(set(everything))
        assert cls.fields[0] in ("loss", "last_hidden_state", "language_output", "sequences")


def test_the_fields_of_an_output_are_those_of_its_specification():
    from multimodal import registry, specs

    for family in registry.FAMILIES.values():
        for name in family.classes:
            spec = specs.of(name)
            assert spec.output.fields == tuple(field.name for field in spec.fields), name
