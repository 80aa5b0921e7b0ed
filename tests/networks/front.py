"""A proxy before a server that leads the viewers of its rooms through relays, for browsers whose requests a test cannot
change.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.networks.relay import Network, relays

_KEPT = ("content-type", "authorization", "if-match", "accept")
_TOLD = ("content-type", "location", "etag", "link", "cache-control", "content-security-policy")


@asynccontextmanager
async def front(server_url: str, network: Network) -> AsyncIterator[str]:
    """Open the proxy; yield its own URL. Candidates of viewers do not pass, so that all media cross the relays."""
    async with relays(network) as through, httpx.AsyncClient(base_url=server_url, timeout=30) as http:

        async def pass_on(request: Request) -> Response:
            if request.method == "PATCH":
                return Response(status_code=204)
            path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            headers = {name: request.headers[name] for name in _KEPT if name in request.headers}
            answer = await http.request(request.method, path, headers=headers, content=await request.body())
            told = {name: answer.headers[name] for name in _TOLD if name in answer.headers}
            body = answer.content
            if request.method == "POST" and answer.status_code == 201:
                body = (await through.rewrite(answer.text)).encode()
            return Response(body, answer.status_code, told)

        methods = ["GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"]
        app = Starlette(routes=[Route("/{path:path}", pass_on, methods=methods)])
        with socket.create_server(("127.0.0.1", 0)) as listening:
            config = uvicorn.Config(app, log_level="error", lifespan="off")
            serving = uvicorn.Server(config)
            task = asyncio.create_task(serving.serve(sockets=[listening]))
            try:
                yield f"http://127.0.0.1:{listening.getsockname()[1]}"  # it takes connections before it serves
            finally:
                serving.should_exit = serving.force_exit = True
                await task
