"""Several sinks of one session."""

from __future__ import annotations

import asyncio

import numpy as np
from structlog.testing import capture_logs

from tests.rooms.media import RecordedEvents
from tests.rooms.recorders import EncodedRecorder, RawRecorder
from visavis.rooms.port import EncodedPacket, RawPicture, RawSound
from visavis.rooms.sinks import Sinks

PACKET = EncodedPacket(kind="video", data=b"vp8", position=0, keyframe=True)
PICTURE = RawPicture(pixels=np.zeros((72, 64), np.uint8), position=0)
SOUND = RawSound(samples=np.zeros(960, np.int16), position=0)


def test_each_sink_gets_the_form_that_it_takes() -> None:
    sinks, encoded, others, raw = (
        Sinks(),
        EncodedRecorder(RecordedEvents()),
        EncodedRecorder(RecordedEvents()),
        RawRecorder(),
    )
    for sink in (encoded, others, raw):
        sinks.add(sink)
    for item in (PACKET, PICTURE, SOUND):
        sinks.publish(item)
    for sink in (encoded, others, raw):
        sink.write()
    assert encoded.written == others.written == [PACKET]
    assert len(raw.pictures) == len(raw.sound) == 1


def test_only_forms_of_watched_sinks_are_wanted() -> None:
    sinks, encoded, raw = Sinks(), EncodedRecorder(RecordedEvents()), RawRecorder()
    assert not sinks.want("encoded") and not sinks.want("raw")
    sinks.add(encoded)
    assert sinks.want("encoded") and not sinks.want("raw")
    sinks.add(raw)
    encoded.watched = False
    assert not sinks.want("encoded") and sinks.want("raw")


def test_drop_backlog_reaches_every_sink() -> None:
    sinks, encoded, raw = Sinks(), EncodedRecorder(RecordedEvents()), RawRecorder()
    sinks.add(encoded)
    sinks.add(raw)
    for item in (PACKET, PICTURE, SOUND):
        sinks.publish(item)
    sinks.drop_backlog()
    encoded.write()
    raw.write()
    assert not encoded.written and not raw.pictures and not raw.sound


class FailingRecorder(RawRecorder):
    async def aclose(self) -> None:
        raise OSError("the disk is full")


def test_a_sink_that_fails_to_close_does_not_keep_others_open() -> None:
    async def scenario() -> None:
        sinks, raw = Sinks(), RawRecorder()
        sinks.add(FailingRecorder())
        sinks.add(raw)
        with capture_logs() as logs:
            await sinks.aclose()
            await sinks.aclose()
        assert not raw.watched
        assert [entry["event"] for entry in logs] == ["sink_close_failed"]

    asyncio.run(scenario())
