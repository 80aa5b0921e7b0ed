"""Posts an event to an address that a customer chose (outbound/targets.py). Redirects are not followed. Of the answer
only the head is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass

import anyio
import h11

from visavis.outbound.public_addresses import Address
from visavis.outbound.reach import IsAllowed, is_foreign
from visavis.outbound.targets import Connector, Resolve, Target, addresses_of, read_target, resolve

HEAD_BYTES = 16_384
READ_BYTES = 4096
RESOLVE_WITHIN_S = 3.0  # when an address is given


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of an attempt. `status`: of the answer, None if there was none. `problem`: None if it was delivered."""

    status: int | None = None
    problem: str | None = None
    retry_after_ms: int = 0


class Poster:
    def __init__(
        self,
        *,
        is_allowed: IsAllowed = is_foreign,
        timeout_s: float = 15.0,
        resolve: Resolve = resolve,
        certificates: str | None = None,
    ) -> None:
        self._is_allowed, self._resolve = is_allowed, resolve
        self.timeout_s = timeout_s
        self._connector = Connector(certificates)

    async def refusal_of(self, url: str) -> str | None:
        """Return why nothing can be sent to this address, as the rest of a sentence; None if something can. A name that
        cannot be found now may be found later.
        """
        try:
            target = read_target(url)
        except ValueError as error:
            return str(error)
        addresses: list[Address] = []
        with anyio.move_on_after(RESOLVE_WITHIN_S):
            addresses = await addresses_of(target.host, target.port, self._resolve)
        return self._refusal_of(addresses) if addresses else None

    def _refusal_of(self, addresses: list[Address]) -> str | None:
        if all(self._is_allowed(address) for address in addresses):
            return None
        return "is not on the public internet"

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Post a body. Raises nothing: whatever fails is the outcome."""
        with anyio.move_on_after(self.timeout_s):
            try:
                return await self._post(read_target(url), headers, body)
            except ValueError as error:
                return Outcome(problem=f"The address {error}")
            except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
                return Outcome(problem="The connection broke off before the answer")
            except h11.RemoteProtocolError:
                return Outcome(problem="The answer is not that of a web server")
        return Outcome(problem=f"There was no answer within {self.timeout_s:g} s")

    async def _post(self, target: Target, headers: Mapping[str, str], body: bytes) -> Outcome:
        addresses = await addresses_of(target.host, target.port, self._resolve)
        if not addresses:
            return Outcome(problem="The name of the host cannot be found")
        if (refusal := self._refusal_of(addresses)) is not None:
            return Outcome(problem=f"The address {refusal}")
        try:
            stream = await self._connector.connect(target, addresses)
        except OSError:
            return Outcome(problem="The host cannot be reached")
        async with aclosing(stream):
            connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
            whole = {"Host": target.host_header, "Content-Length": str(len(body)), "Connection": "close", **headers}
            request = h11.Request(method="POST", target=target.path_and_query, headers=list(whole.items()))
            await stream.send(
                (connection.send(request) or b"")
                + (connection.send(h11.Data(data=body)) or b"")
                + (connection.send(h11.EndOfMessage()) or b"")
            )
            while True:
                event = connection.next_event()
                if event is h11.NEED_DATA:
                    connection.receive_data(await stream.receive(READ_BYTES))
                elif isinstance(event, h11.Response):
                    return _judged(event)
                elif not isinstance(event, h11.InformationalResponse):
                    return Outcome(problem="The answer is not that of a web server")


def _judged(answer: h11.Response) -> Outcome:
    status = answer.status_code
    if 200 <= status < 300:
        return Outcome(status=status)
    problem = f"The answer was a redirect ({status})" if 300 <= status < 400 else f"The answer was {status}"
    asked = [value for name, value in answer.headers if name == b"retry-after"]
    retry_after_ms = int(asked[0]) * 1000 if asked and re.fullmatch(rb"[0-9]{1,6}", asked[0]) else 0
    return Outcome(status=status, problem=problem, retry_after_ms=retry_after_ms)


def shown_host(url: str) -> str:
    """Return the host of an address for a log: path and query may hold secrets."""
    try:
        return read_target(url).host
    except ValueError:
        return "?"
