"""What arguments, output fields and sizes mean: one short phrase for each name, shared by the classes that have it.

A specification may say something else of its own (`Argument.meaning`, `Field.meaning`), and says what names mean that only
its family has (`Specification.meanings`).
"""

from __future__ import annotations

ADDED = "0 where attention may not look at what is padded"

ARGUMENTS: dict[str, str] = {
    # Text
    "input_ids": "the tokens",
    "attention_mask": f"1 for tokens, {ADDED}",
    "token_type_ids": "which part of the text each token belongs to",
    "position_ids": "the position of each token; counted from left to right where it is not given",
    "inputs_embeds": "vectors in the place of looked-up token embeddings",
    "head_mask": "1 keeps an attention head, 0 silences it",
    "encoder_hidden_states": "what cross-attention looks at",
    "encoder_attention_mask": f"1 for positions of encoder_hidden_states, {ADDED}",
    "past_key_values": "keys and values of the tokens before, as an earlier call gave them",
    "decoder_input_ids": "the decoder's tokens; made from labels where only those are given",
    "decoder_attention_mask": f"1 for the decoder's tokens, {ADDED}",
    "decoder_inputs_embeds": "vectors in the place of the decoder's looked-up token embeddings",
    "decoder_position_ids": "the position of each of the decoder's tokens",
    # Images
    "pixel_values": "the images, as their processor prepares them",
    "bool_masked_pos": "true for patches that are hidden behind the mask token",
    "interpolate_pos_encoding": "whether to take images of other sizes, with position embeddings stretched to them",
    "encoder_outputs": "an encoder's output, or a tuple that begins with last_hidden_state, in the place of encoding",
    # Targets
    "labels": "what the loss compares with",
    "start_positions": "the first position of the answer",
    "end_positions": "the last position of the answer",
    # What is computed
    "use_cache": "whether to give past_key_values; None: as the configuration of a decoder says",
    "output_attentions": "whether to give attention probabilities; None: as the configuration says",
    "output_hidden_states": "whether to give the states between layers; None: as the configuration says",
    "return_dict": "False for a tuple of the fields' values; None: as the configuration says",
    "training": "whether dropout is on",
    "train": "whether dropout is on, which needs dropout_rng",
    "params": "the parameters to compute with; None: the model's own",
    "dropout_rng": "a random key for dropout",
}

FIELDS: dict[str, str] = {
    "loss": "the loss",
    "logits": "scores before the softmax",
    "last_hidden_state": "the states behind the last layer",
    "pooler_output": "the first position's last state through the pooling layer",
    "past_key_values": "of each layer the keys and values, and behind them those of cross-attention where there is one, "
    "each (batch, heads, positions, head size)",
    "hidden_states": "the embeddings, and the states behind each layer",
    "attentions": "probabilities of each layer's attention: how much a position (row) looks at another (column)",
    "cross_attentions": "probabilities of each layer's attention to what the encoder says",
    "decoder_hidden_states": "the decoder's embeddings, and the states behind each of its layers",
    "decoder_attentions": "probabilities of the attention in each layer of the decoder",
    "encoder_last_hidden_state": "the states behind the encoder's last layer",
    "encoder_hidden_states": "the encoder's embeddings, and the states behind each of its layers",
    "encoder_attentions": "probabilities of the attention in each layer of the encoder",
    "start_logits": "scores of each position as the answer's first",
    "end_logits": "scores of each position as the answer's last",
}

SIZES: dict[str, str] = {
    "batch": "examples at once",
    "length": "tokens given now",
    "total": "tokens given now and before them, in past_key_values",
    "context": "positions that cross-attention looks at",
    "context_hidden": "the width of what cross-attention looks at",
    "choices": "texts to choose from",
    "texts": "batch * choices: the choices of all examples, one example after the other",
    "vocab_size": "tokens that the model knows",
    "positions": "positions that the model has embeddings for",
    "types": "parts of a text that the model tells apart",
    "hidden": "the width of the states",
    "layers": "layers of the model, or of its decoder",
    "heads": "attention heads of a layer",
    "labels": "classes, config.num_labels",
    "channels": "colours of an image",
    "height": "of the image in pixels",
    "width": "of the image in pixels",
    "patches": "patches of an image",
    "tokens": "patches and the class token",
    "encoder_tokens": "positions of the encoder's output",
    "encoder_hidden": "the width of the encoder's states",
    "encoder_layers": "layers of the encoder",
    "encoder_heads": "attention heads of a layer of the encoder",
}
