"""Models of sound in PyTorch's programs: what training draws stays outside of the graph; every length is served."""

import numpy as np
import pytest
import torch
import zoo
from sound import CTC, DRAWS


def clips(samples=40, short=29):
    values = np.random.default_rng(samples).normal(size=(2, samples)).astype(np.float32)
    mask = np.ones((2, samples), np.int64)
    mask[1, short:] = 0
    return {"input_values": torch.from_numpy(values), "attention_mask": torch.from_numpy(mask)}


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # torch's own, at a break
def test_a_compiled_step_draws_anew_at_each_call(public):
    model = public(CTC)(zoo.config(CTC, **DRAWS), seed=1).train()
    program, labels = torch.compile(model, backend="eager"), torch.tensor([[1, 2, 3], [4, 4, -100]])
    losses = []
    for seed in (1, 2, 1):
        torch.manual_seed(seed)
        loss = program(**clips(), labels=labels).loss
        loss.backward()
        losses.append(loss.item())
    assert losses[0] == losses[2] != losses[1]
    torch.manual_seed(1)
    assert model(**clips(), labels=labels).loss.item() == pytest.approx(losses[0], rel=1e-5)


def test_an_exported_program_serves_every_length(public):
    model = public(CTC)(zoo.config(CTC, initializer_range=0.3), seed=1).eval()
    size = {0: torch.export.Dim("batch", min=1, max=8), 1: torch.export.Dim("samples", min=8, max=1000)}
    program = torch.export.export(model, (), clips(), dynamic_shapes={"input_values": size, "attention_mask": size})
    for samples in (40, 52):
        found = program.module()(**clips(samples)).logits
        torch.testing.assert_close(found, model(**clips(samples)).logits)
