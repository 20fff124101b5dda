"""The families' small configurations."""

import pytest

from multimodal import registry
from multimodal.parity import cases

OF_HEADS = {"classifier_dropout", "summary_first_dropout", "qa_dropout", "seq_classif_dropout"}
"""Rates of single heads, which are switched apart or which we do not have."""


@pytest.mark.parametrize("model_type", [t for t, row in registry.FAMILIES.items() if not row.halves])
def test_the_cases_say_which_fields_switch_dropout_on(model_type):
    """Those that the first case has above 0: what is not said would stay on in models that are meant to be without."""
    config = next(case.configuration() for case in cases.CASES if case.config["model_type"] == model_type)
    on = {name for name, value in vars(config).items() if isinstance(value, float) and ("drop" in name) and value > 0}
    assert on - OF_HEADS == set(cases.rates(model_type))


@pytest.mark.parametrize("model_type", registry.FAMILIES)
def test_a_tiny_configuration_heeds_what_its_family_has_otherwise(model_type):
    otherwise = getattr(cases._MODULES[model_type], "TINY", {})
    made = cases.tiny(model_type, {"hidden_size": 16, "num_attention_heads": 4})
    heeded = {name: getattr(made, name) for name in otherwise if name in made.accepted_names()}
    assert heeded == {name: otherwise[name] for name in heeded}
