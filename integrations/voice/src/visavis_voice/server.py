"""The speech endpoint: POST /v1/audio/speech, as OpenAI's clients send it. It answers WAV or PCM."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from visavis_voice.model import RATE_HZ

MAX_BODY_BYTES = 64 * 1024
MAX_TEXT_CHARS = 4096
FORMATS = {"wav": "audio/wav", "pcm": f"audio/pcm;rate={RATE_HZ}"}


# The header of a WAV file whose length is not known yet: PCM16 mono.
WAV_HEADER = struct.pack(
    "<4sI4s4sIHHIIHH4sI",
    *(b"RIFF", 0xFFFFFFFF, b"WAVE", b"fmt ", 16, 1, 1, RATE_HZ, 2 * RATE_HZ, 2, 16, b"data", 0xFFFFFFFF),
)


class Speaker(Protocol):
    """What `model.Voice` offers to a server."""

    @property
    def names(self) -> list[str]: ...

    def stream(self, text: str, voice: str, *, speed: float = 1.0) -> Iterator[NDArray[np.int16]]: ...


class Refused(Exception):
    """A request that cannot be answered; its text tells why."""


class SpeechServer(ThreadingHTTPServer):
    """`at_once`: the most texts that are spoken at once; others wait."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], voice: Speaker, *, default: str, at_once: int = 1) -> None:
        super().__init__(address, _Handler)
        self.voice, self.default = voice, default
        self.turns = threading.Semaphore(at_once)

    def answer(self, request: dict[str, Any]) -> tuple[str, Generator[bytes, None, None]]:
        """Return the content type and the pieces of the body. Raises `Refused`."""
        text, kind = request.get("input"), request.get("response_format") or "wav"
        speed = request.get("speed", 1.0)
        if not isinstance(text, str) or not text.strip() or len(text) > MAX_TEXT_CHARS:
            raise Refused(f"input must be text of 1 to {MAX_TEXT_CHARS} characters")
        if kind not in FORMATS:
            raise Refused(f"response_format must be one of {', '.join(FORMATS)}")
        if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0.5 <= speed <= 2:
            raise Refused("speed must be a number from 0.5 to 2")
        name = request.get("voice")
        if name not in self.voice.names:
            name = self.default  # a client's usual name, such as alloy
        return FORMATS[kind], self._pieces(text, name, float(speed), b"" if kind == "pcm" else WAV_HEADER)

    def _pieces(self, text: str, name: str, speed: float, header: bytes) -> Generator[bytes, None, None]:
        with self.turns:
            yield header
            for sound in self.voice.stream(text, name, speed=speed):
                yield sound.astype("<i2").tobytes()


class _Handler(BaseHTTPRequestHandler):
    server: SpeechServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self._send(200, "application/json", json.dumps({"voices": self.server.voice.names}).encode())
        else:
            self._refuse(404, "There is nothing at this address")

    def do_POST(self) -> None:
        size = self.headers.get("Content-Length", "")
        if self.path != "/v1/audio/speech" or not size.isdigit() or int(size) > MAX_BODY_BYTES:
            self.close_connection = True
            self._refuse(404 if self.path != "/v1/audio/speech" else 413, "POST /v1/audio/speech takes 64 KiB")
            return
        try:
            request = json.loads(self.rfile.read(int(size)))
            if not isinstance(request, dict):
                raise Refused("The body must be a JSON object")
            kind, pieces = self.server.answer(request)
        except (ValueError, Refused) as error:
            self._refuse(400, str(error))
        else:
            self._stream(kind, pieces)

    def _stream(self, kind: str, pieces: Generator[bytes, None, None]) -> None:
        """Send pieces as they come. A client that has left ends them; a fault breaks the answer off."""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        with suppress(ConnectionError), closing(pieces):
            for piece in pieces:
                if piece:
                    self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")

    def _refuse(self, status: int, text: str) -> None:
        self._send(status, "application/json", json.dumps({"error": {"message": text}}).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged: what people say is nobody's business."""
