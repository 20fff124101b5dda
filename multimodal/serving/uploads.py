"""A picture that a request brings: bounded in size, in time, and in what it may become when it is decoded."""

from __future__ import annotations

import asyncio
import contextlib
import io

from PIL import Image
from starlette.exceptions import HTTPException
from starlette.requests import Request

from multimodal.serving.limits import FORMATS, Limits
from multimodal.tasks.pictures import open_picture

_DISCARDED = 4
"""How many times the largest file is read and thrown away, so that a client that sends before it listens gets its message."""
_DISCARD_SECONDS = 2.0


async def received(request: Request, limits: Limits) -> bytes:
    """The body of a request. Errors: HTTPException 413 where it is too large, 408 where it takes too long, 400 where it is
    empty; `ClientDisconnect` where it breaks off."""
    try:
        async with asyncio.timeout(limits.upload_seconds):
            return await _received(request, limits.upload_bytes)
    except TimeoutError as error:
        message = f"expected the picture within {limits.upload_seconds:g} seconds, got a part of it"
        raise HTTPException(408, message) from error


async def _received(request: Request, most: int) -> bytes:
    told = request.headers.get("content-length", "")
    too_large = HTTPException(413, f"expected a file of at most {most / 1e6:g} MB, got a larger one")
    waits_for_a_word = "expect" in request.headers
    if waits_for_a_word and told.isdigit() and int(told) > most:
        raise too_large
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            parts.clear()
            if size > _DISCARDED * most:
                raise too_large
            continue
        parts.append(part)
    if size > most:
        raise too_large
    if not size:
        raise HTTPException(400, "expected the bytes of a picture, got none")
    return b"".join(parts)


async def discarded(request: Request, limits: Limits) -> None:
    """Read a body that is not wanted, for a moment, so that its sender comes to listen."""
    if "expect" in request.headers:  # the sender waits for a word
        return
    size = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(min(_DISCARD_SECONDS, limits.upload_seconds)):
            async for part in request.stream():
                size += len(part)
                if size > _DISCARDED * limits.upload_bytes:
                    return


def opened(data: bytes, limits: Limits) -> Image.Image:
    """The picture in a file's bytes, upright RGB. Errors: ValueError that says what was expected."""
    file = io.BytesIO(data)
    file.name = "the upload"  # what messages call it
    return open_picture(file, formats=FORMATS, most=limits.pixels)
