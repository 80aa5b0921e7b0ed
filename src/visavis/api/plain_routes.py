"""A short way to most handlers: one table, and arguments that need no validation.

FastAPI describes every route, and serves those that are not plain. For a plain one its search through all routers and
its look at each argument take several times as long as the handler itself (decision 0054).
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

_Argument = Callable[[Request], object]
_TEXTS = (str, str | None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Handler:
    endpoint: Callable[..., Awaitable[Response]]
    arguments: tuple[tuple[str, _Argument], ...]

    async def answer(self, request: Request) -> Response:
        return await self.endpoint(**{name: argument(request) for name, argument in self.arguments})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """`handler`: None where FastAPI serves the route."""

    route: Any
    handler: _Handler | None

    def takes(self, method: str) -> bool:
        return not self.route.methods or method in self.route.methods


class PlainRoutes:
    """An ASGI application that serves the plain ones of `routes`, and passes all other requests to `app`.

    A handler is plain if it is a coroutine, and its arguments are the request, texts of the path and of the query, and
    dependencies that are made of the connection alone. As FastAPI does, the first route that fits serves a request.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        # Routes by the first two parts of their path; those with a parameter there are in every list, and in `_others`.
        self._by_head: dict[str, list[_Entry]] = {}
        self._others: list[_Entry] = []
        for route in routes:
            if not hasattr(route, "methods"):  # of a WebSocket
                continue
            entry = _Entry(route=route, handler=_handler_of(route))
            head = _head(entry.route.path)
            if "{" in head:
                self._others.append(entry)
                for entries in self._by_head.values():
                    entries.append(entry)
            else:
                self._by_head.setdefault(head, list(self._others)).append(entry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = self._find(scope) if scope["type"] == "http" else None
        if handler is None:
            await self._app(scope, receive, send)
            return
        response = await handler.answer(Request(scope, receive, send))
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> _Handler | None:
        """Return the handler of a request, and put into its scope what a router does."""
        path, method = scope["path"], scope["method"]
        if "\n" in path:  # a pattern of a path may end before its last line break
            return None
        for entry in self._by_head.get(_head(path), self._others):
            found = entry.route.path_regex.match(path)
            if found is not None and entry.takes(method):
                if entry.handler is not None:
                    scope["route"], scope["path_params"] = entry.route, found.groupdict()
                return entry.handler
        return None


def _head(path: str) -> str:
    """Return the first two parts of a path."""
    return "/".join(path.split("/", 3)[:3])


def _handler_of(route: BaseRoute) -> _Handler | None:
    if not isinstance(route, APIRoute) or route.dependencies or not inspect.iscoroutinefunction(route.endpoint):
        return None
    if not _answers_itself(route.endpoint):
        return None
    needs = route.dependant
    others = (needs.header_params, needs.cookie_params, needs.body_params, needs.websocket_param_name)
    more = (needs.response_param_name, needs.background_tasks_param_name, needs.security_scopes_param_name)
    if any(others) or any(more) or needs.http_connection_param_name:
        return None
    arguments: dict[str, _Argument | None] = {}
    if needs.request_param_name:
        arguments[needs.request_param_name] = _request
    arguments |= {field.name: _of_path(field) for field in needs.path_params}
    arguments |= {field.name: _of_query(field) for field in needs.query_params}
    arguments |= {one.name: _of_dependency(one) for one in needs.dependencies if one.name is not None}
    plain = [(name, argument) for name, argument in arguments.items() if argument is not None]
    if len(plain) < len(arguments):
        return None
    return _Handler(endpoint=route.endpoint, arguments=tuple(plain))


def _answers_itself(endpoint: Callable[..., Any]) -> bool:
    """Whether it returns a response, and nothing that FastAPI would have to make one of."""
    try:
        answer = inspect.get_annotations(endpoint, eval_str=True).get("return")
    except NameError:
        return False
    return isinstance(answer, type) and issubclass(answer, Response)


def _request(request: Request) -> object:
    return request


def _of_path(field: Any) -> _Argument | None:
    if field.field_info.annotation is not str or field.field_info.metadata:
        return None
    name = field.alias
    return lambda request: request.scope["path_params"][name]


def _of_query(field: Any) -> _Argument | None:
    if field.field_info.annotation not in _TEXTS or field.field_info.metadata or field.field_info.is_required():
        return None
    name, default = field.alias, field.default
    return lambda request: request.query_params.get(name, default) if request.scope.get("query_string") else default


def _of_dependency(needs: Any) -> _Argument | None:
    """Return the dependency itself, if its only argument is the connection."""
    makes: _Argument = needs.call
    parameters = list(inspect.signature(makes).parameters)
    if parameters != [needs.http_connection_param_name] or inspect.iscoroutinefunction(makes):
        return None
    return None if inspect.isgeneratorfunction(makes) or inspect.isasyncgenfunction(makes) else makes
