"""Rules that calls of several families must keep; what only one family has is in its own specification.

A rule is a function of a `Call`, listed in `Specification.rules`. Where a size is not known (inside a trace) it passes.
"""

from __future__ import annotations

import math

from multimodal.specs.call import ArgumentError, Call


def mask_covers_every_position(call: Call) -> None:
    """A mask over the positions in a cache and the new ones (`total`) has a value for each."""
    length, total = call.size("length"), call.size("total")
    if length is None or total is None or total == call.past_length + length:
        return
    past = call.past_length
    positions = f"{past} cached and {length} new positions" if past else f"{length} positions"
    raise ArgumentError(
        f"{call.named(call.argument_with('total'))}: expected (batch, {past + length}) for {positions}, got (batch, {total})"
    )


def sequence_fits_positions(call: Call) -> None:
    """A sequence is no longer than the table of positions (`positions`); what a cache holds counts."""
    length, largest = call.size("length"), call.sizes["positions"]
    if length is not None and call.past_length + length > largest:
        name = call.named(call.argument_with("length"))
        raise ArgumentError(f"{name}: expected at most {largest} positions, got {call.past_length + length}")


def text_has_a_token(call: Call) -> None:
    """A text has its first token, which stands for all of it (`length`)."""
    if call.size("length") == 0:
        raise ArgumentError(f"{call.named(call.argument_with('length'))}: expected at least one token, got none")


def pooled_text_has_a_token(call: Call) -> None:
    """So does the text of a class that may be without a pooler, where it has one."""
    if "pooler" in call.parts:
        text_has_a_token(call)


def image_has_a_patch(call: Call) -> None:
    """An image (`height`, `width`) is at least one patch large (`patch_height`, `patch_width`)."""
    smallest = (call.sizes["patch_height"], call.sizes["patch_width"])
    size = (call.size("height"), call.size("width"))
    if any(pixels is not None and pixels < least for pixels, least in zip(size, smallest)):
        expected, got = _times(*smallest), _times(*size)
        name = call.named(call.argument_with("height"))
        raise ArgumentError(f"{name}: expected at least one patch of {expected} pixels, got {got}")


def image_has_the_configured_size(call: Call) -> None:
    """An image has the size of the configuration (`Specification.sizes`) unless positions are interpolated."""
    pairs = [] if call.interpolate else call.spec.sizes
    if any(call.size(symbol) not in (None, call.sizes[dimension]) for symbol, dimension in pairs):
        expected, got = _times(*(call.sizes[d] for _, d in pairs)), _times(*(call.size(s) for s, _ in pairs))
        name = call.named(call.argument_with(pairs[0][0]))
        raise ArgumentError(
            f"{name}: expected images of {expected} pixels, got {got} (interpolate_pos_encoding=True takes other sizes)"
        )


def image_is_whole_patches(call: Call) -> None:
    """An image of another size than the configuration's has nothing beside its patches: it would not be looked at."""
    patch, own = ("patch_height", "patch_width"), ("image_height", "image_width")
    size = (call.size("height"), call.size("width"))
    for pixels, each, configured in zip(size, patch, own):
        if pixels is not None and pixels != call.sizes[configured] and pixels % call.sizes[each]:
            expected, got = _times(*(call.sizes[name] for name in patch)), _times(*size)
            name = call.named(call.argument_with("height"))
            raise ArgumentError(f"{name}: expected a whole number of patches of {expected} pixels, got {got}")


def images_are_numbers(call: Call) -> None:
    """Every pixel (`pixel_values`) is a number, and there is at least one image."""
    if not call.has("pixel_values"):
        return
    value, name = call.given["pixel_values"], call.named("pixel_values")
    if call.size(str(call.spec.argument("pixel_values").shape[0])) == 0:
        raise ArgumentError(f"{name}: expected at least one image, got none")
    found = call.extent(value)
    if found is not None and not all(map(math.isfinite, found)):
        raise ArgumentError(f"{name}: expected finite values, got values from {found[0]} to {found[1]}")


def _times(*sizes: int | None) -> str:
    return " x ".join(map(str, sizes))
