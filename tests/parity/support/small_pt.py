"""The small family in PyTorch."""

import small
import torch
from torch import nn

from multimodal.modeling.structures import NetworkOutput
from multimodal.pt.layers.basic import BatchNorm, Conv1D, Conv2D, DepthwiseConv2D
from multimodal.pt.pretrained import PretrainedModel


class SmallNetwork(nn.Module):
    def __init__(self, config, dtype=None):
        super().__init__()
        width, norm = config.width, {"momentum": small.MOMENTUM, "epsilon": small.EPSILON, "dtype": dtype}
        self.stem = Conv2D(config.num_channels, width, (3, 2), (1, 1), dtype=dtype, **small.arguments(small.STEM))
        self.norm = BatchNorm(width, **norm)
        self.depthwise = DepthwiseConv2D(width, **small.DEPTHWISE, dtype=dtype)
        self.grouped = Conv2D(width, width, (2, 3), (1, 1), dtype=dtype, **small.arguments(small.GROUPED))
        self.last_norm = BatchNorm(width, **norm)
        self.sequence = Conv1D(width, width, **small.SEQUENCE, dtype=dtype)
        self.temperature = nn.Parameter(torch.empty((), dtype=dtype))
        self.register_buffer("order", torch.zeros(width, dtype=torch.long))
        self.register_buffer("backwards", torch.arange(width - 1, -1, -1), persistent=False)

    def forward(self, pixel_values):  # b c h w -> b (h w) width
        x = self.norm(self.stem(pixel_values)).tanh()
        x = self.last_norm(self.grouped(self.depthwise(x)))[:, self.backwards][:, self.order] * self.temperature
        x = self.sequence(x.flatten(2)).transpose(1, 2)
        return NetworkOutput(x, pooled=x.square().mean(1))


class SmallModel(PretrainedModel):
    """What `small.SmallModel` says."""

    spec = small.SmallModel

    def _build(self):
        return SmallNetwork(self.config, self.parameter_dtype)

    def forward(self, pixel_values=None, return_dict=None):
        self._check({"pixel_values": pixel_values})
        output = self.network(pixel_values)
        return self._output(return_dict, output)
