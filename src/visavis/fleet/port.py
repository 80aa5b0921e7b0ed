"""The port between the service and whatever performs sessions: allocate, speak, interrupt, offer, end; events back.

A performer in a child process, on another core or on another machine is the same thing to the service. Everything that
crosses this port is a value of `stage/port`; no path of a machine is among them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from visavis.engine.motion.states import SettableState
from visavis.engine.output import Output
from visavis.stage.port.events import PerformerEvent
from visavis.stage.port.values import PerformanceSpec, Speech


class Performer(Protocol):
    """One session's performance. Calls may come from any task of one event loop.

    `speak`, `resize`, `set_output`, `set_state` and `stream_motion` take effect, and complete, in the order of their
    calls; every other call overtakes them. After `PerformerEnded` every call raises `PerformerLost`. `end` is
    idempotent. Whoever allocated a performer ends it.
    """

    session_id: str

    async def speak(self, speech: Speech) -> str:
        """Queue a piece of speech; return the id of the utterance that it belongs to.

        Without `utterance_id` it continues the open utterance, or opens one. An utterance ends by `final`, by another
        id, or when its audio has been idle for 300 ms. A piece whose number an interrupt has passed is taken and never
        heard. Raises `QueueFull` beyond 600 s of queued speech: then nothing of this call is queued.
        """
        ...

    async def interrupt(self, *, through: int) -> None:
        """Drop all speech up to the piece with the number `through`, queued, playing or still on its way.

        Called before `speak` is called with any higher number. Returns when it has taken effect: the sound has faded,
        the lips go to rest.
        """
        ...

    async def resize(self, *, width_px: int, height_px: int) -> None:
        """Change the size of the picture; viewers stay connected."""
        ...

    async def set_output(self, output: Output) -> None:
        """Change how the session looks; viewers stay connected.

        Raises `BackgroundRefused` for a picture that cannot be read: then nothing has changed.
        """
        ...

    async def set_state(self, state: SettableState) -> None:
        """Listen or think wherever nothing is said: listening lasts, thinking until speech begins."""
        ...

    async def stream_motion(self, on: bool) -> None:
        """Tell MotionFrames and MotionCut from now on, or no more."""
        ...

    async def offer(self, *, viewer_id: str, sdp: str) -> str:
        """Answer a viewer's SDP offer (recvonly audio and video); return the SDP answer, its ICE candidates gathered.

        Raises `OfferRefused` when the SDP cannot be answered (no VP8, not recvonly, not SDP), `RoomFull`.
        """
        ...

    async def remove_viewer(self, viewer_id: str) -> bool:
        """Disconnect a viewer; return whether it was there."""
        ...

    async def end(self) -> None:
        """End the performance: viewers are disconnected, resources freed."""
        ...

    def events(self) -> AsyncIterator[PerformerEvent]:
        """Every event in order, once; one consumer. Ends after PerformerEnded."""
        ...


class Fleet(Protocol):
    """Where performers come from. Opened by `start`, closed by `aclose`."""

    async def start(self) -> None:
        """Have the first stage ready. Raises `PerformerLost` when none comes up; may then be called again."""
        ...

    async def allocate(self, spec: PerformanceSpec) -> Performer:
        """Return a performer whose idle picture is running.

        Raises `NoCapacity`, `PackUnreadable` for an avatar pack that cannot be had or loaded, and `BackgroundRefused`.
        """
        ...

    def capacity(self) -> tuple[int, int]:
        """Return (performing now, most at once)."""
        ...

    async def aclose(self) -> None:
        """End every performer, and every stage process that this fleet started; idempotent, bounded to 5 s."""
        ...
