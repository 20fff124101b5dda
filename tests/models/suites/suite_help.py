"""`help` of a call explains every argument and every field of the output: shape, kind, range and meaning."""

import inspect

import pytest

from multimodal.specs.documentation import CALLS, shape_text


@pytest.fixture
def described(public, class_name):
    """(class, {name: its line in the docstring}, the docstring)."""
    cls = public(class_name)
    text = inspect.getdoc(getattr(cls, CALLS[cls.backend]))
    paragraphs, lines = " ".join(text.split()), {}
    for line in text.replace("\n        ", " ").splitlines():
        name, colon, rest = line.strip().partition(": ")
        if line.startswith("    ") and colon:
            lines.setdefault(name, []).append(rest)
    return cls, lines, paragraphs


def test_every_argument_of_the_signature_is_described_with_its_shape(described):
    cls, lines, _ = described
    parameters = inspect.signature(getattr(cls, CALLS[cls.backend])).parameters.values()
    named = [p.name for p in parameters if p.name != "self" and p.kind is not p.VAR_KEYWORD]
    assert named == list(cls.spec.signature(cls.backend))
    extra = {a.name: a for a in cls.spec.extra.get(cls.backend, ())}
    for argument in [extra.get(name) or cls.spec.argument(name) for name in named] + [*cls.spec.arrays()]:
        described_as = lines[argument.name][0]
        if argument.kind not in ("flag", "structure"):
            assert f", {shape_text(argument.shape)}" in described_as
            assert argument.other_shape is None or f" or {shape_text(argument.other_shape)}" in described_as
        if argument.kind == "int":
            assert f"from {argument.low} to " in described_as
            assert str(argument.high) in described_as or f" {argument.high - 1}," in described_as


def test_every_field_of_the_output_is_described_with_its_shape(described):
    cls, lines, text = described
    assert f"Output: {cls.spec.output.__name__}, or with return_dict=False the tuple of its values" in text
    for field in cls.spec.leaves():
        described_as = lines[field.name][-1]
        assert (shape_text(field.shape) if field.shape or not field.each else "a tuple of ") in described_as
        assert field.count_text() in described_as
        assert field.when == "always" or f"There if: {field.when}." in described_as
    for name in cls.spec.output.beside:
        assert name in lines


def test_every_line_says_what_the_name_means(described):
    cls, lines, text = described
    assert text.startswith(f"What {cls.spec.name} takes and gives.")
    for name, found in lines.items():
        for line in found:
            meaning = line.split(". ", 1)[-1]
            assert len(meaning.split()) > 1, name
    if cls.spec.loss:
        assert f"Loss: {cls.spec.loss}." in text


def test_every_size_in_a_shape_is_explained(described):
    cls, lines, _ = described
    arrays = [*cls.spec.arrays(), *cls.spec.fields]
    symbols = {symbol for array in arrays for symbol in array.shape if isinstance(symbol, str)}
    assert symbols <= lines.keys()


def test_a_class_explains_its_own_call_where_it_inherits_it(public):
    base, own = public("BertModel"), public("Data2VecTextModel")
    call = CALLS[base.backend]
    assert "What BertModel takes" in getattr(base, call).__doc__
    assert "What Data2VecTextModel takes" in getattr(own, call).__doc__
    assert inspect.signature(getattr(own, call)) == inspect.signature(getattr(base, call))


def test_a_call_says_which_output_it_gives(described):
    cls, _, _ = described
    call = getattr(cls, CALLS[cls.backend])
    assert call.__annotations__["return"] == f"{cls.spec.output.__name__} | Values"
    assert cls.spec.output.__name__ in call.__globals__
