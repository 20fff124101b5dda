"""Chat templates: where they come from, what they may do, and what goes wrong in them."""

import json

import pytest

from multimodal.processors.bert import BertTokenizerFast

CHAT = [{"role": "user", "content": "a cat"}]


@pytest.mark.parametrize("template", ["{{ messages[0].content }}!", {"default": "1", "other": "2"}], ids=["one", "two"])
def test_templates_are_saved_and_loaded(any_class, make, tmp_path, template):
    tokenizer = make(any_class, chat_template=template)
    tokenizer.save_pretrained(tmp_path)
    assert any_class.from_pretrained(tmp_path).chat_template == template
    written = json.loads((tmp_path / "tokenizer_config.json").read_text())["chat_template"]
    expected = [{"name": "default", "template": "1"}, {"name": "other", "template": "2"}]
    assert written == (template if isinstance(template, str) else expected)


def test_without_a_template_the_tokenizer_says_so(any_class, make):
    with pytest.raises(ValueError, match=f"chat_template: expected one, got none: {any_class.__name__}"):
        make(any_class).apply_chat_template(CHAT)


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ raise_exception('no system message') }}",
        "{% for %}",
        "{{ 1 / 0 }}",
        "{{ missing.attribute }}",
        "{{ 'a' * 100000000 }}",
        "{{ 100000000 * [1] }}",
        "{{ 10 ** (10 ** 10) }}",
        "{{ '%999999999d' % 1 }}",
        "{{ range(10000000)|list }}",
        "{{ ''.join(messages) }}",
    ],
)
def test_what_a_template_may_not_do_is_an_error_that_names_it(bert, template):
    with pytest.raises(ValueError, match="chat_template: "):
        bert.apply_chat_template(CHAT, chat_template=template, tokenize=False)


def test_a_template_calculates_within_bounds(bert):
    template = "{{ '-' * 3 }}{{ 2 ** 5 }}{{ '%s' % 7 }}{{ 3 * 4 }}"
    assert bert.apply_chat_template(CHAT, chat_template=template, tokenize=False) == "---32712"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"conversation": "hi"}, "conversation: expected a list of messages, got 'hi'"),
        ({"conversation": ["hi"]}, r"conversation\[0\]: expected a message"),
        ({"conversation": [CHAT, "hi"]}, r"conversation\[1\]: expected a list of messages"),
        ({"conversation": [CHAT, [3]]}, r"conversation\[1\]\[0\]: expected a message"),
        ({"chat_template": 3}, "chat_template: expected a Jinja template"),
        ({"tokenize": False, "return_dict": True}, "return_dict: expected False with tokenize=False"),
    ],
    ids=str,
)
def test_a_bad_argument_is_named(bert, arguments, message):
    with pytest.raises(ValueError, match=message):
        bert.apply_chat_template(**{"conversation": CHAT, "chat_template": "x", **arguments})


@pytest.mark.parametrize("template", [3, [], {}, [{"name": "a"}], {"a": 3}, ["a"]], ids=str)
def test_what_is_no_template_is_named(make, template):
    with pytest.raises(ValueError, match="chat_template: expected a Jinja template, or templates by name"):
        make(BertTokenizerFast, chat_template=template)


def test_templates_without_a_default_need_a_name(make):
    tokenizer = make(BertTokenizerFast, chat_template={"rag": "1", "tool": "2"})
    assert tokenizer.apply_chat_template(CHAT, chat_template="tool", tokenize=False) == "2"
    with pytest.raises(ValueError, match=r"chat_template: expected a name among \['rag', 'tool'\]"):
        tokenizer.apply_chat_template(CHAT)
