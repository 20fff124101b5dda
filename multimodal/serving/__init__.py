"""A page to try an image-to-text checkpoint with: `multimodal serve`. It needs the extra `serve` (Starlette, uvicorn).

A request goes through here in this order: `protocol` (a connection that stalls is closed), `guard` (who may ask), `app` and
`uploads` (a picture, bounded in size and time), `batching` (waits with others of the same settings), `reader` (the tokens of a
batch as they come, with what the decoder looked at: `heat`), and back through `app` as lines of JSON.
"""
