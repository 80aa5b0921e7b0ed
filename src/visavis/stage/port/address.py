"""Where a stage listens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

PATH = "/stage"  # of the WebSocket


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a stage listens: `unix:PATH`, or `wss://HOST:PORT`."""

    path: Path | None = None
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Address:
        """Raises ValueError for anything else."""
        if text.startswith("unix:") and len(text) > len("unix:"):
            return cls(path=Path(text.removeprefix("unix:")))
        try:
            url = urlsplit(text)
            host, port = url.hostname, url.port
        except ValueError:  # an invalid port or IPv6 address
            host = port = None
        if not host or port is None or url.scheme != "wss" or url.path not in ("", "/", PATH):
            raise ValueError(f"{text!r} is neither unix:PATH nor wss://HOST:PORT")
        return cls(host=host, port=port)

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"wss://[{self.host}]:{self.port}" if ":" in self.host else f"wss://{self.host}:{self.port}"
