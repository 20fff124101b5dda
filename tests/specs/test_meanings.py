"""Everything that a specification names has a meaning, and every meaning belongs to something."""

from multimodal import specs
from multimodal.specs.documentation import docstring
from multimodal.specs.meanings import ARGUMENTS, FIELDS, SIZES

SPECIFICATIONS = specs.all_specifications().values()
ADDED = {a.name: a for spec in SPECIFICATIONS for extra in spec.extra.values() for a in extra}
EVERY = [a for s in SPECIFICATIONS for a in s.arguments] + list(ADDED.values())
ARRAYS = [b for a in EVERY for b in (a, *a.inside)]


def test_every_argument_field_and_size_has_a_meaning_and_no_meaning_is_left_over():
    fields = [field for spec in SPECIFICATIONS for field in spec.fields]
    beside = {name for spec in SPECIFICATIONS for name in spec.output.beside}
    own = {name for spec in SPECIFICATIONS for name in spec.meanings}
    arguments, given = {a.name for a in ARRAYS}, {f.name for f in fields} | beside
    assert arguments - own == ARGUMENTS.keys() | {a.name for a in ARRAYS if a.meaning}
    assert given - own == FIELDS.keys() | {f.name for f in fields if f.meaning}
    symbols = {s for a in ARRAYS for s in (*a.shape, *(a.other_shape or ()), a.low, a.high, a.besides)}
    symbols |= {symbol for field in fields for symbol in field.symbols()}
    sizes = {s for s in symbols if isinstance(s, str) and s and not s.isdigit()}
    assert sizes - own == SIZES.keys()
    assert own <= arguments | given | sizes


def test_a_docstring_has_what_holds_between_arguments():
    text = docstring(specs.of("Data2VecTextForQuestionAnswering"), "tf")
    assert "\nExactly one of: input_ids, inputs_embeds.\nOnly together: start_positions, end_positions.\nLoss: " in text
    assert "start_positions: integers from -100 to length - 1 (beyond: ignored), (batch,) or (batch, 1). The " in text
    assert "training: True or False, False by default. Whether dropout is on." in text
    text = docstring(specs.of("VisionEncoderDecoderModel"), "flax")
    assert text.index("decoder_position_ids: ") < text.index("output_attentions: ") < text.index("labels: ")
    assert "\nAt least one of: pixel_values, encoder_outputs.\nOther keywords: arguments of the encoder, and " in text
    text = docstring(specs.of("LxmertModel"), "pt")
    assert "\nNeeded: visual_feats.\nNeeded: visual_pos.\n" in text
    assert "visual_pos: floats from 0 to 1, (batch, objects, visual_pos_dim). The box" in text
    assert "training" not in text
    text = docstring(specs.of("BertModel"), "pt")
    assert "encoder_attention_mask: 0 or 1, (batch, context). 1 for positions of encoder_hidden_states" in text
    assert "There if: the model has a pooling layer." in " ".join(text.split())
    assert "Only for a model with config.add_cross_attention=True." in " ".join(text.split())
