"""The cookie of an operator's browser, and the check that a request with it comes from a page of this server.

The cookie holds the token of a sign-in. Scripts cannot read it (HttpOnly), and no other site can have it sent
(SameSite=Strict). The check does not rely on that: another port of the same host is the same site.
"""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from visavis.errors import RequestForged

FORGERY_HEADER = "x-visavis-page"
_SAFE_METHODS = frozenset({"GET", "HEAD"})


class OperatorCookies:
    """`secret`: the server's. `public_url`: where clients reach it, if that is set."""

    def __init__(self, secret: bytes, *, public_url: str | None) -> None:
        self._secret = secret
        public = urlsplit(public_url or "")
        self._path, self._public_host = public.path or "/", public.netloc.lower()
        # Cookies do not tell ports apart: each server of a host has a name of its own.
        self.name = "visavis_" + hmac.digest(secret, b"cookie name", "sha256").hex()[:8]

    def token_in(self, headers: Headers) -> str | None:
        """Return the sign-in's token of a request; None without one."""
        for line in headers.getlist("cookie"):
            if token := cookie_parser(line).get(self.name):
                return token
        return None

    def forgery_token(self, token: str) -> str:
        """Return what the page sends in FORGERY_HEADER: a script of another origin can neither read nor guess it."""
        return hmac.digest(self._secret, b"page of " + token.encode(), "sha256").hex()

    def set_header(self, token: str, *, lasts_s: int, secure: bool) -> str:
        """Return the Set-Cookie header of a sign-in; `lasts_s` 0 removes the cookie."""
        attributes = f"Path={self._path}; Max-Age={lasts_s}; HttpOnly; SameSite=Strict"
        return f"{self.name}={token}; {attributes}" + ("; Secure" if secure else "")

    def check_page(self, method: str, headers: Headers) -> None:
        """Raises `RequestForged` for a request that a page of another origin makes.

        The scheme is not compared: a proxy may have taken TLS off. Browsers leave Origin out of a GET, and
        Sec-Fetch-Site where the connection is not secure; of any other method they send one of them.
        """
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is not None and site not in ("same-origin", "none"):
            raise RequestForged
        if origin is not None and not self._is_own(origin, headers):
            raise RequestForged
        if site is None and origin is None and method not in _SAFE_METHODS:
            raise RequestForged

    def _is_own(self, origin: str, headers: Headers) -> bool:
        host = urlsplit(origin).netloc.lower()
        return host != "" and host in (headers.get("host", "").lower(), self._public_host)

    def check_token(self, token: str, headers: Headers) -> None:
        """Raises `RequestForged` unless the request has the forgery token of this sign-in."""
        given = headers.get(FORGERY_HEADER, "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self.forgery_token(token).encode()):
            raise RequestForged
