"""The process that answers: uvicorn around the application."""

import uvicorn
from starlette.types import ASGIApp


def server_for(application: ASGIApp, host: str = "127.0.0.1", port: int = 0) -> uvicorn.Server:
    """A server that is ready to run; `server.run(sockets=[…])` or `server.run()`."""
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        loop="asyncio",  # its sendfile lets the kernel send large files; uvloop has none
        http="httptools",
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)
