"""The application: the page, and `POST /read`, which takes a picture and gives lines of JSON while its text is generated.

Lines of `/read`, each an object whose `event` is

- `seen`: `before`, how many pictures are read first, `loads`, whether the backend's model has to be loaded, and `picture`,
  what the model sees of it, a data: address;
- `token`: `piece`, `text` so far, `chance`, `grid` [rows, columns] and `heat` (see `heat.Heat.to_json`), or null for both;
- `done`: `text`, `seconds`;
- `error`: `message`. What is wrong with a request before it is read is a status and {"error": message} in its place.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from multimodal.serving.batching import Finished, Full, Job
from multimodal.serving.guard import LOCAL, Guard
from multimodal.serving.limits import settings_of
from multimodal.serving.reader import Seen, Token
from multimodal.serving.service import Service
from multimodal.serving.uploads import discarded, received

PAGE = Path(__file__).with_name("page")


def create(service: Service, hosts: frozenset[str] = LOCAL) -> Starlette:
    """The application, reached under the names `hosts` alone."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        service.start()
        try:
            yield
        finally:
            service.close()

    doors = Doors(service)
    routes = [Route(path, _page(*of)) for path, of in _FILES.items()]
    routes += [Route("/about", doors.about), Route("/examples/{number:int}", doors.example)]
    routes += [Route("/read", doors.read, methods=["POST"])]
    guard = Middleware(Guard, hosts=hosts)
    return Starlette(routes=routes, middleware=[guard], exception_handlers={HTTPException: _refused}, lifespan=lifespan)


_FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}


def _page(name: str, media_type: str) -> Any:
    content = (PAGE / name).read_bytes()

    async def answer(request: Request) -> Response:
        return Response(content, media_type=media_type)

    return answer


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    # The rest of a body that nobody reads must not be taken for the next request.
    headers = {**(error.headers or {}), "Connection": "close"}
    return JSONResponse({"error": error.detail}, error.status_code, headers)


class Doors:
    """What is asked of a service."""

    def __init__(self, service: Service):
        self.service = service

    async def about(self, request: Request) -> Response:
        return JSONResponse(self.service.about())

    async def example(self, request: Request) -> Response:
        number, there = request.path_params["number"], self.service.examples
        if number >= len(there):
            raise HTTPException(404, f"expected an example below {len(there)}, got {number}")
        return FileResponse(there[number])

    async def read(self, request: Request) -> Response:
        """A picture, the body of the request, as a stream of lines."""
        service = self.service
        try:
            seen = await self._seen(request)
            settings = settings_of(request.query_params, service.backends)
        except ClientDisconnect:
            return Response(status_code=400)  # to nobody: the upload broke off
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
        job = Job(seen.pixels, settings, service.limits.seconds)
        try:
            before = service.batcher.submit(job)
        except Full as error:
            raise HTTPException(503, str(error), _BUSY) from error
        picture = "data:image/jpeg;base64," + base64.b64encode(seen.shown).decode()
        first = {"event": "seen", "before": before, "loads": settings.backend not in service.loaded, "picture": picture}
        return StreamingResponse(_lines(first, job, service.limits.seconds), media_type="application/x-ndjson")

    async def _seen(self, request: Request) -> Seen:
        """The picture, received and decoded. Errors: HTTPException, ValueError, ClientDisconnect."""
        service = self.service
        if service.batcher.is_full or service.uploads >= service.limits.uploads:
            await discarded(request, service.limits)
            raise HTTPException(503, "the server has all the pictures that it takes on: try again soon", _BUSY)
        service.uploads += 1
        try:
            return await service.prepared(await received(request, service.limits))
        finally:
            service.uploads -= 1


_BUSY = {"Retry-After": "1"}


async def _lines(first: dict[str, Any], job: Job, seconds: float) -> AsyncIterator[bytes]:
    """The lines of one picture, as what they say comes. Where nobody takes them any more the job is given up."""
    started, text = time.monotonic(), ""
    try:
        yield _line(first)
        while not isinstance(item := await job.get(), Finished):
            if isinstance(item, ValueError):
                yield _line({"event": "error", "message": str(item)})
                return
            text = item.text
            # Tokens that are all there must not keep the loop from others, or from hearing that the client has gone.
            await asyncio.sleep(0)
            yield _line({"event": "token", **_of_token(item)})
        yield _line({"event": "done", "text": text.strip(), "seconds": round(time.monotonic() - started, 3)})
    except TimeoutError:
        yield _line({"event": "error", "message": f"the text was not there within {seconds:g} seconds"})
    finally:
        job.given_up = True


def _of_token(token: Token) -> dict[str, Any]:
    heat = token.heat
    return {
        "piece": token.piece,
        "text": token.text,
        "chance": round(token.chance, 4),
        "grid": None if heat is None else heat.maps.shape[1:],
        "heat": None if heat is None else heat.to_json(),
    }


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"
