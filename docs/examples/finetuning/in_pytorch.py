"""Teach the reader of handwriting printed digits, in PyTorch: DataLoader, AdamW by published names, a plain loop.

python docs/examples/finetuning/in_pytorch.py OUT [--checkpoint digit-lines] [--steps 60]

A run that was stopped goes on by the same command, to the same numbers. How the loss fell is drawn in OUT/loss.png.
"""

import json
import shutil

import torch
from printed_digits import PARTS, Encoder, arguments, lines, right, state_of, watched
from torch.utils.data import DataLoader

from multimodal import VisionEncoderDecoderModel, set_seed
from multimodal.tasks.curves import curve

run = arguments(__doc__)
set_seed(0)
encoder = Encoder(run.checkpoint)
model = VisionEncoderDecoderModel.from_pretrained(run.checkpoint)


def collate(pairs):
    """A batch: padded to the longest of its own lines."""
    pictures, texts = map(list, zip(*pairs))
    return {
        "pixel_values": torch.from_numpy(encoder.pixels(pictures)),
        "labels": torch.from_numpy(encoder.labels(texts)).long(),
    }


examples = list(zip(*lines(16 * run.steps, seed=1)))
order = torch.randperm(len(examples), generator=torch.Generator().manual_seed(0)).tolist()
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
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / (run.steps + 1))
parts = {"model": model, "optimizer": optimizer, "schedule": schedule}


@torch.no_grad()
def evaluated():
    """(loss, share of lines read right) on lines that nothing was trained on."""
    model.eval()
    found = encoder.texts(model.generate(held_out["pixel_values"], max_length=9))
    return model(**held_out).loss.item(), right(found, texts)


def keep():
    """Write all that the next step depends on; a run that is killed meanwhile still has what was kept before."""
    state = {name: part.state_dict() for name, part in parts.items()}
    torch.save({**state, "losses": losses, "random": torch.get_rng_state()}, kept.with_suffix(".part"))
    kept.with_suffix(".part").replace(kept)


before = evaluated()
folder = state_of(run)
kept, losses = folder / "state.pt", []
if kept.exists():
    state = torch.load(kept, weights_only=True)  # tensors and plain values: nothing in a file is run
    for name, part in parts.items():
        part.load_state_dict(state[name])
    losses = state["losses"]
    torch.set_rng_state(state["random"])  # which dropout draws from
# A loader draws a number for its workers when it begins: not from where dropout does.
rest = DataLoader(
    examples, 16, sampler=order[16 * len(losses) :], collate_fn=collate, generator=torch.Generator().manual_seed(0)
)
for batch in watched(rest, run, len(losses)):
    model.train()
    optimizer.zero_grad()
    loss = model(**batch).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    losses.append(loss.item())
    if len(losses) % max(1, run.steps // PARTS) == 0:
        keep()
after = evaluated()
model.save_pretrained(run.out)
encoder.processor.save_pretrained(run.out)
encoder.tokenizer.save_pretrained(run.out)
curve([{"step": at, "loss": loss} for at, loss in enumerate(losses, 1)], ["loss"], "loss").save(run.out / "loss.png")
shutil.rmtree(folder)
print(json.dumps({"before": before, "after": after, "losses": losses}))
