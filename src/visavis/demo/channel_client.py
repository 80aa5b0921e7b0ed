"""A strict client of the channel: it knows only the messages that it asked for, and treats every other message as a
broken contract.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from visavis.demo.contract import check
from visavis.errors import ContractBroken

ANSWER_WITHIN_S = 20.0
MESSAGES: dict[str, dict[str, Any]] = {
    "connection.established": {"type": str, "session_id": str},
    "agent.speak.confirmed": {"type": str, "audio_samples": int},
    "agent.interrupt.confirmed": {"type": str},
    "agent.playback.started": {"type": str, "utterance_id": str},
    "agent.playback.finished": {"type": str, "utterance_id": str, "position_s": float, "interrupted": bool},
    "session.metrics": {
        "type": str,
        "frame_rate": float,
        "wanted_frame_rate": int,
        "frames": int,
        "hurried_frames": int,
        "late_frames": int,
        "queued_s": float,
        "underruns": int,
        "interrupts": int,
        "drift_ms": float,
        "sample_to_frame_ms": (float, None),
        "viewers": int,
        "round_trip_ms": (float, None),
        "lost_share": (float, None),
        "dropped_pictures": int,
        "dropped_blocks": int,
        "bytes_sent": int,
    },
    "utterance.metrics": {
        "type": str,
        "utterance_id": str,
        "received_s": float,
        "started_s": (float, None),
        "turn_ms": (float, None),
        "motion_ms": (float, None),
        "frame_ms": (float, None),
        "packet_ms": (float, None),
        "finished_ms": float,
        "played_s": float,
        "interrupted": bool,
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    message: dict[str, Any]
    arrived_s: float  # time.monotonic


class ChannelClient:
    """One channel. `wait_for` accepts messages in any order of types, because events may come between answers."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._waiting: list[Received] = []

    async def tell(self, **message: Any) -> float:
        """Send a message. Return the time at which it was sent (time.monotonic)."""
        now_s = time.monotonic()
        await self._connection.send(json.dumps(message))
        return now_s

    async def wait_for(self, kind: str, *, within_s: float = ANSWER_WITHIN_S, **members: Any) -> Received:
        """Return the first message of `kind` with these members.

        Raises `ContractBroken` for an error, for an unknown message, if the channel closes, and if the message does not
        arrive in time.
        """
        try:
            async with asyncio.timeout(within_s):
                while True:
                    for received in self._waiting:
                        if received.message["type"] == kind and members.items() <= received.message.items():
                            self._waiting.remove(received)
                            return received
                    self._waiting.append(self._checked(await self._connection.recv()))
        except TimeoutError:
            raise ContractBroken(f"The channel sent no {kind} within {within_s:.0f} s") from None
        except ConnectionClosed as closed:
            raise ContractBroken(f"The channel closed ({closed}) instead of sending {kind}") from None

    def take(self, kind: str) -> list[Received]:
        """Return the messages of `kind` that came while others were waited for, each once."""
        taken = [received for received in self._waiting if received.message["type"] == kind]
        self._waiting = [received for received in self._waiting if received.message["type"] != kind]
        return taken

    async def wait_closed(self) -> tuple[int, str]:
        """Return the code and the reason of the server's close. Messages before it are only checked."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                while True:
                    self._checked(await self._connection.recv())
        except TimeoutError:
            raise ContractBroken(
                f"The channel did not close within {ANSWER_WITHIN_S:.0f} s of the session's end"
            ) from None
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")

    async def speak(self, pcm: bytes, *, sample_rate_hz: int, utterance_id: str) -> float:
        """Send a whole utterance without waiting, one message per second of it, then check the confirmations.

        Return the time at which the first message was sent (time.monotonic).
        """
        second = 2 * sample_rate_hz
        pieces = [pcm[at : at + second] for at in range(0, len(pcm), second)]
        sent_s = 0.0
        for number, piece in enumerate(pieces):
            audio, final = base64.b64encode(piece).decode(), number == len(pieces) - 1
            at_s = await self.tell(
                type="agent.speak", audio=audio, sample_rate=sample_rate_hz, utterance_id=utterance_id, final=final
            )
            sent_s = sent_s or at_s
        confirmed = [(await self.wait_for("agent.speak.confirmed")).message["audio_samples"] for _ in pieces]
        if sum(confirmed) != round(len(pcm) // 2 * 16_000 / sample_rate_hz):
            raise ContractBroken(
                f"agent.speak.confirmed counted {sum(confirmed)} samples of {len(pcm) // 2} at {sample_rate_hz} Hz"
            )
        return sent_s

    def _checked(self, text: str | bytes) -> Received:
        now_s = time.monotonic()
        message = json.loads(text)
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "error":
            raise ContractBroken(f"The channel answered an error: {message.get('error')} [{message.get('code')}]")
        if kind not in MESSAGES:
            raise ContractBroken(f"The channel sent a message that was not asked for: {text!r:.200}")
        check(f"channel {kind}", message, MESSAGES[kind])
        return Received(message=message, arrived_s=now_s)
