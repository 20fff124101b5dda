"""`multimodal serve CHECKPOINT`: a local page to try an image-to-text checkpoint with."""

from __future__ import annotations

from typing import Annotated

import typer

from multimodal import banner
from multimodal.commands import console


def command(
    checkpoint: Annotated[
        str,
        typer.Argument(help="Folder or name of an image-to-text checkpoint; left out, the embedded reader of digits."),
    ] = "digit-lines",
    backend: Annotated[
        str | None, typer.Option(help="pt, tf, flax: loaded first; left out, the first that is installed.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="The address to listen at; others than this one can be reached by others.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8000,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A name that the page is reached by, beside localhost; may be repeated.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Most pictures that are read at once.")] = 8,
    waiting: Annotated[int, typer.Option(min=1, help="Most pictures that wait; more are refused.")] = 32,
    upload_mb: Annotated[float, typer.Option("--upload-mb", min=0.001, help="Largest file, in megabytes.")] = 10.0,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that a picture may take, waiting included.")] = 60.0,
) -> None:
    """Serve a page to drop pictures on: their text as it is read, and what the model looked at. Ctrl-C ends it."""
    with console.errors():
        try:
            from multimodal.serving import server
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in ("starlette", "uvicorn", "h11"):
                raise
            raise ImportError(
                f'serve needs {package}, which is not installed: pip install "multimodal-parity[serve]"'
            ) from error
        from multimodal.serving.limits import Limits
        from multimodal.serving.service import Service
        from multimodal.tasks import installed_backends

        limits = Limits(batch=batch, waiting=waiting, upload_bytes=int(upload_mb * 1e6), seconds=timeout)
        backend = backend or next(iter(installed_backends()), "pt")
        with console.status(f"loading the model in {backend}"):
            banner.start(backend)
            service = Service(checkpoint, backend, limits)
        server.serve(service, host, port, frozenset(allow_host or ()), told=_tell)


def _tell(address: str) -> None:
    typer.echo(f"{address}   (Ctrl-C ends it)")
