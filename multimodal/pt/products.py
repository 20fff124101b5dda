"""The product of every linear layer, by the faster of the two libraries that PyTorch has on a CPU.

`torch.nn.functional.linear` goes to a library whose kernels for few rows run at half the memory's speed on some processors
(measured: AMD EPYC with AVX-512, docs/design.md, section 5). oneDNN's product, which PyTorch has beside it, takes its place
in inference where it is faster: both are timed once, for about 30 ms each, when the first large product of few rows comes
(which memory limits) and the first of many rows (which arithmetic does).
`MULTIMODAL_LINEAR` in the environment says which: "auto" (the default), "torch" or "onednn".
"""

from __future__ import annotations

import functools
import os
import time

import torch

SWITCH = "MULTIMODAL_LINEAR"
LEAST = 2**18
"""Entries of a matrix from which on the choice is worth its overhead. Smaller ones lie in the processor's caches."""
MANY = 32
"""From so many rows on arithmetic is the limit."""
TRIALS = {False: (1, 1024, 8192), True: (128, 768, 3072)}
"""Rows, inputs and outputs of the products that are timed, by whether their rows are many. The first one's 32 MB have to
come from memory."""
ROUNDS = 5
TYPES = (torch.float32,)
CLASSES = (torch.Tensor, torch.nn.Parameter)


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """`x` (..., inputs) times the transpose of `weight` (outputs, inputs), plus `bias` (outputs,): (..., outputs)."""
    if _is_plain(x, weight, bias) and weight.numel() >= LEAST and is_direct(x.shape[:-1].numel() >= MANY):
        return _direct(x, weight, bias)
    return torch.nn.functional.linear(x, weight, bias)


def _direct(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def _is_plain(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> bool:
    """Whether nothing but numbers is asked for: no gradient, no program being made, no tensor that stands for others."""
    if torch.compiler.is_compiling() or torch._C._is_tracing() or torch.is_autocast_enabled("cpu"):
        return False
    if torch._C._functorch.peek_interpreter_stack() is not None or torch._C._len_torch_dispatch_stack():
        return False
    asks = torch.is_grad_enabled() and (
        x.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)
    )
    return not asks and _is_known(x) and _is_known(weight) and (bias is None or _is_known(bias))


def _is_known(tensor: torch.Tensor) -> bool:
    """Whether oneDNN takes a tensor as it is. (This runs a hundred times for each token, hence no loop around it.)"""
    return type(tensor) in CLASSES and tensor.is_cpu and tensor.dtype in TYPES and tensor.layout is torch.strided


@functools.cache
def is_direct(many: bool) -> bool:
    """Whether large products of few or of many rows go to oneDNN in this process."""
    choice = os.environ.get(SWITCH, "auto")
    if choice not in ("auto", "torch", "onednn"):
        raise ValueError(f"{SWITCH}: expected 'auto', 'torch' or 'onednn', got {choice!r}")
    exists = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    if choice == "onednn" and not exists:
        raise ValueError(f"{SWITCH}: expected a PyTorch with oneDNN for 'onednn', got one without it")
    if choice == "auto":
        return exists and _is_faster(*TRIALS[many])
    return choice == "onednn"


def _is_faster(rows: int, inputs: int, outputs: int) -> bool:
    """Whether oneDNN's least time for a product is below the other library's, taken in turns."""
    x, weight = torch.ones(rows, inputs), torch.ones(outputs, inputs)
    least = dict.fromkeys((_direct, torch.nn.functional.linear), float("inf"))
    with torch.inference_mode():
        for product in ROUNDS * tuple(least):
            start = time.perf_counter()
            product(x, weight, None)
            least[product] = min(least[product], time.perf_counter() - start)
    return least[_direct] < least[torch.nn.functional.linear]
