"""The small family in plain NumPy, by other means than the backends': sums over the cells of a kernel."""

import numpy as np
import small


def convolved(x, weight, bias, padding, stride, groups, dilation):
    """(batch, channels, ...) by kernels (outputs, inputs of a group, ...); one entry per axis in the last four but groups."""
    x = np.pad(x, ((0, 0), (0, 0), *padding))
    spans = [d * (k - 1) + 1 for k, d in zip(weight.shape[2:], dilation)]
    sizes = [(n - span) // s + 1 for n, span, s in zip(x.shape[2:], spans, stride)]
    inputs, outputs = weight.shape[1], weight.shape[0] // groups
    y = np.zeros((x.shape[0], weight.shape[0], *sizes))
    for cell in np.ndindex(weight.shape[2:]):
        at = tuple(slice(c * d, c * d + s * (n - 1) + 1, s) for c, d, s, n in zip(cell, dilation, stride, sizes))
        seen = x[(slice(None), slice(None), *at)]
        for g in range(groups):
            kernel = weight[(slice(g * outputs, (g + 1) * outputs), slice(None), *cell)]
            part = seen[:, g * inputs : (g + 1) * inputs]
            y[:, g * outputs : (g + 1) * outputs] += np.einsum("oi,bi...->bo...", kernel, part)
    return y if bias is None else y + bias.reshape(-1, *(1,) * len(sizes))


def normed(x, tensors, name, train, state):
    """Batch normalisation of (batch, channels, ...); `state` gets the new running statistics."""
    flat = x.swapaxes(0, 1).reshape(x.shape[1], -1)
    mean, variance = tensors[f"{name}.running_mean"], tensors[f"{name}.running_var"]
    if train:
        keep, count = small.MOMENTUM, flat.shape[1]
        state[f"{name}.running_mean"] = keep * mean + (1 - keep) * flat.mean(1)
        state[f"{name}.running_var"] = keep * variance + (1 - keep) * flat.var(1) * count / (count - 1)
        mean, variance = flat.mean(1), flat.var(1)
    scale = tensors[f"{name}.weight"] / np.sqrt(variance + small.EPSILON)
    flat = (flat - mean[:, None]) * scale[:, None] + tensors[f"{name}.bias"][:, None]
    return flat.reshape(x.shape[1], x.shape[0], *x.shape[2:]).swapaxes(0, 1)


def forward(tensors, pixel_values, train):
    """({field: array}, {published name: new state}) from {published name: array}."""
    state = {"order": tensors["order"]} if train else {}
    width = tensors["order"].size

    def image(x, name, layer, groups):
        stride = np.broadcast_to(layer["stride"], 2)
        bias = tensors[f"{name}.bias"] if layer.get("bias", True) else None
        padding, dilation = layer["padding"], layer.get("dilation", (1, 1))
        return convolved(x, tensors[f"{name}.weight"], bias, padding, stride, groups, dilation)

    x = np.tanh(normed(image(pixel_values, "stem", small.STEM, 1), tensors, "bn1", train, state))
    x = image(image(x, "dw", small.DEPTHWISE, width), "grouped", small.GROUPED, 4)
    x = normed(x, tensors, "bn2", train, state)[:, ::-1][:, tensors["order"]] * tensors["temperature"]
    x = x.reshape(*x.shape[:2], -1)
    x = convolved(x, tensors["sequence.weight"], tensors["sequence.bias"], ((4, 0),), (1,), 2, (2,)).swapaxes(1, 2)
    return {"last_hidden_state": x, "pooler_output": (x**2).mean(1)}, state
