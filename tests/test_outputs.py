"""Outputs are ordered mappings of what is there, with attributes, and tuples where they are asked by number."""

import copy
import importlib
import pickle

import pytest

from multimodal import registry
from multimodal.modeling import outputs
from multimodal.modeling.outputs import BaseModelOutputWithPooling, ModelOutput
from multimodal.specs.lxmert import LxmertForPreTrainingOutput

EVERY = outputs.output_classes()


@pytest.fixture
def output():
    return BaseModelOutputWithPooling(attentions=(3, 4), last_hidden_state=1, pooler_output=2)


def test_fields_come_in_the_documented_order_and_none_is_left_out(output):
    assert list(output) == ["last_hidden_state", "pooler_output", "attentions"]
    assert output.to_tuple() == (1, 2, (3, 4)) == tuple(output.values())
    assert (output[0], output[-1], output[:2], output["pooler_output"]) == (1, (3, 4), (1, 2), 2)
    assert output.hidden_states is None
    with pytest.raises(KeyError):
        output["hidden_states"]


def test_a_false_value_is_there():
    assert BaseModelOutputWithPooling(last_hidden_state=0, hidden_states=()).to_tuple() == (0, ())


def test_a_field_can_be_set_and_another_cannot(output):
    output.pooler_output = 5
    output["last_hidden_state"] = 6
    assert output.to_tuple() == (6, 5, (3, 4))
    with pytest.raises(ValueError, match="unknown field 'logits', expected one of"):
        output.logits = 1
    with pytest.raises(ValueError, match="unknown fields"):
        BaseModelOutputWithPooling(logits=1)
    with pytest.raises(AttributeError, match="no field 'logits'; it has last_hidden_state, pooler_output, attentions"):
        output.logits  # noqa: B018 - the look-up is what is tested


def test_what_stands_beside_is_no_item_and_is_found_by_name():
    output = LxmertForPreTrainingOutput(loss=3, matched_loss=1, visual_obj_loss=2, masked_lm_loss=None)
    assert output.to_tuple() == (3,)
    assert list(output) == ["loss"]
    assert (output.matched_loss, output["visual_obj_loss"], output.masked_lm_loss) == (1, 2, None)
    assert output.everything() == {"loss": 3, "matched_loss": 1, "visual_obj_loss": 2}


@pytest.mark.parametrize("copied", [lambda a: pickle.loads(pickle.dumps(a)), copy.copy, copy.deepcopy])
def test_a_copy_is_the_same(copied):
    output = LxmertForPreTrainingOutput(loss=3, matched_loss=1)
    again = copied(output)
    assert type(again) is LxmertForPreTrainingOutput
    assert again.everything() == output.everything()


def test_every_output_is_listed_once_and_names_its_fields_once():
    families = [importlib.import_module(f"multimodal.specs.{row.module}") for row in registry.FAMILIES.values()]
    defined = [value for module in (outputs, *families) for value in vars(module).values()]
    public = [v for v in defined if isinstance(v, type) and issubclass(v, ModelOutput)]
    assert set(EVERY) == set(public)
    assert len(EVERY) == len(set(EVERY))
    for cls in EVERY[1:]:
        everything = (*cls.fields, *cls.beside)
        assert len(everything) == len(set(everything))
        assert cls.fields[0] in ("loss", "last_hidden_state", "language_output", "sequences")


def test_the_fields_of_an_output_are_those_of_its_specification():
    from multimodal import specs

    for family in registry.FAMILIES.values():
        for name in family.classes:
            spec = specs.of(name)
            given = [field.name for field in spec.fields]
            assert [field for field in spec.output.fields if field in given] == given, name
