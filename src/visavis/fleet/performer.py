"""A performer on a stage: one session's commands over the stage's link, and its events."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from visavis.engine.motion.states import SettableState
from visavis.engine.output import Output
from visavis.errors import PerformerLost, StaleOwner
from visavis.fleet.link import StageLink
from visavis.stage.port import messages
from visavis.stage.port.events import MotionFrames, PerformerEnded, PerformerEvent, PerformerMetrics
from visavis.stage.port.messages import Command, OfferAnswered, Result, Spoken, ViewerRemoved
from visavis.stage.port.values import PerformanceSpec, Speech

MAX_UNHEARD_METRICS = 60  # and frames of motion


class StagePerformer:
    """Implements `fleet.port.Performer`."""

    def __init__(self, spec: PerformanceSpec, link: StageLink, has_ended: Callable[[str], None]) -> None:
        self.session_id = spec.session_id
        self._epoch = spec.epoch
        self._link = link
        self._has_ended = has_ended
        self._last = asyncio.Event()  # of the latest call in order: set when it and all before it have completed
        self._last.set()
        self._events: deque[PerformerEvent] = deque()  # bounded by what the stage bounds, and by MAX_UNHEARD_METRICS
        self._happened = asyncio.Event()
        self._ended = False

    async def speak(self, speech: Speech) -> str:
        spoken = await self._ask_in_order(messages.Speak(speech=speech))
        assert isinstance(spoken, Spoken), spoken
        return spoken.utterance_id

    async def interrupt(self, *, through: int) -> None:
        await self._ask(messages.Interrupt(through=through))

    async def resize(self, *, width_px: int, height_px: int) -> None:
        await self._ask_in_order(messages.Resize(width_px=width_px, height_px=height_px))

    async def set_output(self, output: Output) -> None:
        await self._ask_in_order(messages.SetOutput(output=output))

    async def set_state(self, state: SettableState) -> None:
        await self._ask_in_order(messages.SetState(state=state))

    async def stream_motion(self, on: bool) -> None:
        await self._ask_in_order(messages.StreamMotion(on=on))

    async def offer(self, *, viewer_id: str, sdp: str) -> str:
        answered = await self._ask(messages.Offer(viewer_id=viewer_id, sdp=sdp))
        assert isinstance(answered, OfferAnswered), answered
        return answered.sdp

    async def remove_viewer(self, viewer_id: str) -> bool:
        removed = await self._ask(messages.RemoveViewer(viewer_id=viewer_id))
        assert isinstance(removed, ViewerRemoved), removed
        return removed.was_there

    async def end(self) -> None:
        if self._ended:
            return
        try:
            await self._ask(messages.End())
        except PerformerLost:
            pass  # its end is on its way, or has been told
        else:
            self.tell(PerformerEnded(reason="ended"))

    async def events(self) -> AsyncIterator[PerformerEvent]:
        while True:
            while self._events:
                event = self._events.popleft()
                yield event
                if isinstance(event, PerformerEnded):
                    return
            self._happened.clear()
            await self._happened.wait()

    async def _ask_in_order(self, command: Command) -> Result:
        """Ask at once, and complete when every call in order before this one has completed.

        So many pieces of speech are on their way together, and no answer overtakes another.
        """
        before, self._last = self._last, asyncio.Event()
        after = self._last
        try:
            try:
                return await self._ask(command)
            finally:
                await before.wait()
        finally:
            after.set()

    async def _ask(self, command: Command) -> Result:
        if self._ended:
            raise PerformerLost("This performance has ended")
        try:
            return await self._link.ask(self.session_id, self._epoch, command)
        except StaleOwner as error:
            self.tell(PerformerEnded(reason="lost", detail=error.message))
            raise PerformerLost("Another server owns this session") from error

    def tell(self, event: PerformerEvent) -> None:
        """Hold an event for the consumer of `events`. Nothing follows `PerformerEnded`."""
        if self._ended:
            return
        if isinstance(event, PerformerEnded):
            self._ended = True
            self._has_ended(self.session_id)
        if isinstance(event, PerformerMetrics | MotionFrames) and len(self._events) >= MAX_UNHEARD_METRICS:
            return
        self._events.append(event)
        self._happened.set()
