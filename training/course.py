"""What the training programs share: their options, what they say of their progress, and the course of the steps.

A program's recipe is a dataclass with `steps`, `rate`, `warmup` and `decay`, and with whatever else it needs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Protocol

import torch
import typer

Say = Callable[[str], None]
Rate = Callable[[int, Any], float]

Validate = Annotated[
    bool, typer.Option("--validate", help="Leave the validation part out and measure on it; nothing is written.")
]
Seed = Annotated[int, typer.Option(help="Of everything that is drawn: fresh weights, batches, dropout.")]
Steps = Annotated[int, typer.Option(help="Training steps.")]
Threads = Annotated[int, typer.Option(help="Threads of PyTorch; another number rounds differently.")]
Folder = Annotated[Path, typer.Option(help="Where the checkpoint goes.")]
Log = Annotated[Path | None, typer.Option(help="File for the progress, beside the terminal.")]


class Recipe(Protocol):
    """What `fit` and `adamw` ask of a program's recipe."""

    steps: int
    rate: float
    warmup: int
    decay: float


def begin(threads: int, log: Path | None = None) -> Say:
    """Set PyTorch's threads; what is given prints a line with the seconds since, of the clock and of the processor."""
    torch.set_num_threads(threads)
    start = time.monotonic()

    def say(line: str) -> None:
        line = f"{time.monotonic() - start:6.0f} s ({time.process_time():.0f} s of processor)  {line}"
        typer.echo(line)
        if log is not None:
            with log.open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    return say


def rate_at(step: int, recipe: Recipe) -> float:
    """The learning rate: a linear warm-up under half a cosine down to zero."""
    return recipe.rate * min(1.0, (step + 1) / recipe.warmup) * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))


def adamw(
    parameters: Iterable[torch.nn.Parameter],
    recipe: Recipe,
    *,
    decayed: Callable[[torch.Tensor], bool] = lambda p: p.ndim > 1,
    others: Iterable[torch.nn.Parameter] = (),
    betas: tuple[float, float] = (0.9, 0.98),
) -> torch.optim.AdamW:
    """AdamW that decays what `decayed` chooses of the parameters: matrices and kernels. `others` are not decayed."""
    parameters = list(parameters)
    chosen = [p for p in parameters if decayed(p)]
    rest = [p for p in parameters if not decayed(p)] + list(others)
    groups = [{"params": chosen, "weight_decay": recipe.decay}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.rate, betas=betas)


@torch.no_grad()
def blend(into: torch.nn.Module, network: torch.nn.Module, share: float) -> None:
    """Move the tensors of one network towards another's."""
    for kept, new in zip(into.parameters(), network.parameters()):
        kept.lerp_(new, share)


def smooth_loss(logits: torch.Tensor, labels: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Cross entropy with label smoothing: Szegedy et al. (2016), section 7."""
    return torch.nn.functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), label_smoothing=smoothing)


def fit(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_of_batch: Callable[[], torch.Tensor],
    recipe: Recipe,
    say: Say,
    *,
    every: int = 100,
    rate: Rate = rate_at,
    clipped_together: bool = False,
    behind_step: Callable[[int], None] = lambda step: None,
    first: int = 0,
) -> None:
    """The steps from `first` to `recipe.steps` down the losses of batches, then the model predicts.

    Gradients are cut to length 1, those of each group of the optimiser by themselves unless `clipped_together`.
    `behind_step` is called with each step's number when it is done; `every` so many the loss is said.
    """
    clipped = [group["params"] for group in optimizer.param_groups]
    if clipped_together:
        clipped = [[p for parameters in clipped for p in parameters]]
    model.train()
    for step in range(first, recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = rate(step, recipe)
        optimizer.zero_grad()
        loss = loss_of_batch()
        loss.backward()
        for parameters in clipped:
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        behind_step(step)
        if (step + 1) % every == 0:
            say(f"step {step + 1}/{recipe.steps}: loss {float(loss.detach()):.4f}")
    model.eval()
