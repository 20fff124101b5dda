"""A small family with state, for tests alone: every new kind of tensor, two normalisations by the batch, an index.

Importing this puts it into the registry of the process, so that it is to be imported before a backend is.
"""

import sys
from pathlib import Path
from typing import ClassVar

from multimodal import registry
from multimodal.checkpoints.layout import Kind
from multimodal.checkpoints.names.base import Row, Table, batch_norm
from multimodal.configs.base import PretrainedConfig, config_class
from multimodal.modeling.outputs import BaseModelOutputWithPooling
from multimodal.specs.base import EXTRA, Argument, Field, Specification, flag

MOMENTUM, EPSILON, TEMPERATURE = 0.99, 1e-3, 0.07
STEM = {"kernel": (3, 2), "stride": (1, 1), "padding": ((1, 0), (0, 1)), "bias": False}
DEPTHWISE = {"kernel": (3, 5), "stride": 2, "padding": ((0, 1), (2, 1)), "bias": False}
GROUPED = {"kernel": (2, 3), "stride": (1, 1), "padding": ((1, 1), (2, 2)), "groups": 4, "dilation": (1, 2)}
SEQUENCE = {"kernel": 3, "stride": 1, "padding": (4, 0), "groups": 2, "dilation": 2}


@config_class
class SmallConfig(PretrainedConfig):
    """Channels of the input, and of everything behind the first layer."""

    model_type: ClassVar[str] = "small"
    stacks: ClassVar[tuple[str, ...]] = ()

    num_channels: int = 5
    width: int = 8
    initializer_range: float = 0.02


SmallModel = Specification(
    name="SmallModel",
    model_type="small",
    arguments=(Argument("pixel_values", "float", ("batch", "channels", "height", "columns")), flag("return_dict")),
    output=BaseModelOutputWithPooling,
    fields=(
        Field("last_hidden_state", ("batch", "positions", "width")),
        Field("pooler_output", ("batch", "width")),
    ),
    dimensions=lambda config: {"channels": config.num_channels, "width": config.width},
    parts=("base",),
    exactly_one=(("pixel_values",),),
    extra=EXTRA,
)


def table(config):
    """Where the published names are other than ours they are those of torch's modules."""
    width, none = config.width, "none"
    rows = [
        Row("stem.weight", "stem.weight", (width, config.num_channels, 3, 2), Kind.CONV2D, (none,) * 4),
        *batch_norm("norm", "bn1", width),
        Row("depthwise.weight", "dw.weight", (width, 1, 3, 5), Kind.DEPTHWISE_CONV2D, (none,) * 4),
        Row("grouped.weight", "grouped.weight", (width, width // 4, 2, 3), Kind.GROUPED_CONV2D, (none,) * 4),
        Row("grouped.bias", "grouped.bias", (width,), Kind.BIAS, (none,)),
        *batch_norm("last_norm", "bn2", width),
        Row("sequence.weight", "sequence.weight", (width, width // 2, 3), Kind.GROUPED_CONV1D, (none,) * 3),
        Row("sequence.bias", "sequence.bias", (width,), Kind.BIAS, (none,)),
        Row("temperature", "temperature", (), Kind.SCALAR, (), initial=TEMPERATURE),
        Row("order", "order", (width,), Kind.INTEGERS, (none,)),
    ]
    return Table("small", tuple(rows), ignored=((r".*num_batches_tracked", "counts calls, which nothing reads"),))


def arguments(layer):
    """The keywords of a layer without those that come first."""
    return {name: value for name, value in layer.items() if name not in ("kernel", "stride")}


registry.FAMILIES["small"] = registry.Family("SmallConfig", "small", {"AutoModel": "SmallModel"})
for package in ("configs", "specs", "checkpoints.names"):
    sys.modules[f"multimodal.{package}.small"] = sys.modules[__name__]
SUPPORT = str(Path(__file__).parent)
