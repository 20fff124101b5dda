"""Teach the reader of handwriting printed digits, in PyTorch: DataLoader, AdamW by published names, a plain loop.

python docs/examples/finetuning/in_pytorch.py OUT [--checkpoint digit-lines] [--steps 60]
"""

import argparse
import json

import torch
from printed_digits import Encoder, lines, right
from torch.utils.data import DataLoader

from multimodal import VisionEncoderDecoderModel, set_seed

parser = argparse.ArgumentParser()
parser.add_argument("out")
parser.add_argument("--checkpoint", default="digit-lines")
parser.add_argument("--steps", type=int, default=60)
options = parser.parse_args()

set_seed(0)
encoder = Encoder(options.checkpoint)
model = VisionEncoderDecoderModel.from_pretrained(options.checkpoint)


def collate(pairs):
    """A batch: padded to the longest of its own lines."""
    pictures, texts = map(list, zip(*pairs))
    return {
        "pixel_values": torch.from_numpy(encoder.pixels(pictures)),
        "labels": torch.from_numpy(encoder.labels(texts)).long(),
    }


training = DataLoader(list(zip(*lines(16 * options.steps, seed=1))), batch_size=16, shuffle=True, collate_fn=collate)
pictures, texts = lines(64, seed=2)
held_out = collate(list(zip(pictures, texts)))

# Published recipes name tensors as checkpoints do; `published_names` says which of ours is meant.
published = model.published_names()
plain = [name for name in published if published[name].endswith(("bias", "LayerNorm.weight", "layernorm.weight"))]
groups = [
    {"params": [p for name, p in model.named_parameters() if name not in plain], "weight_decay": 0.01},
    {"params": [p for name, p in model.named_parameters() if name in plain], "weight_decay": 0.0},
]
optimizer = torch.optim.AdamW(groups, lr=1e-3)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / (options.steps + 1))


@torch.no_grad()
def evaluated():
    """(loss, share of lines read right) on lines that nothing was trained on."""
    model.eval()
    found = encoder.texts(model.generate(held_out["pixel_values"], max_length=9))
    return model(**held_out).loss.item(), right(found, texts)


before = evaluated()
for batch in training:
    model.train()
    optimizer.zero_grad()
    model(**batch).loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
after = evaluated()
model.save_pretrained(options.out)
encoder.processor.save_pretrained(options.out)
encoder.tokenizer.save_pretrained(options.out)
print(json.dumps({"before": before, "after": after}))
