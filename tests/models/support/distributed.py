"""One of several processes that train on their part of a batch: python distributed.py PROCESS COUNT FOLDER.

`works.pt` in the folder is {case: {model: a public model, inputs, options of DistributedDataParallel}}; each process
leaves `gradients-PROCESS.pt` there, {case: {name: gradient}} behind two steps.
"""

import datetime
import sys
from pathlib import Path

import torch
import torch.distributed
from torch.nn.parallel import DistributedDataParallel


def trained(work: dict, process: int, count: int) -> dict:
    """{name: gradient} behind two steps; TypeError unless the outputs are those of the class."""
    model = DistributedDataParallel(work["model"], **work["options"])
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    own = {name: value.chunk(count)[process] for name, value in work["inputs"].items()}
    for _ in range(2):
        optimiser.zero_grad()
        output = model(**own)
        if type(output) is not work["model"].spec.output:
            raise TypeError(f"expected {work['model'].spec.output}, got {type(output)}")
        output.loss.backward()
        optimiser.step()
    return {name: parameter.grad for name, parameter in work["model"].named_parameters()}


def main(process: int, count: int, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", f"file://{folder}/meeting", datetime.timedelta(seconds=60), world_size=count, rank=process
    )
    works = torch.load(folder / "works.pt", weights_only=False)  # our own, of a moment ago
    gradients = {case: trained(work, process, count) for case, work in works.items()}
    torch.save(gradients, folder / f"gradients-{process}.pt")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
