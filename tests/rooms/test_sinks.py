"""One session that feeds several sinks."""

from __future__ import annotations

import asyncio

import numpy as np
from structlog.testing import capture_logs

from tests.rooms.media import HeardEvents
from tests.rooms.recorders import EncodedRecorder, RawRecorder
from visavis.rooms.port import EncodedPacket, RawPicture, RawSound
from visavis.rooms.sinks import Sinks

PACKET = EncodedPacket(kind="video", data=b"vp8", position=0, keyframe=True)
PICTURE = RawPicture(pixels=np.zeros((72, 64), np.uint8), position=0)
SOUND = RawSound(samples=np.zeros(960, np.int16), position=0)


def test_each_sink_gets_the_form_that_it_takes() -> None:
    sinks, encoded, others, raw = Sinks(), EncodedRecorder(HeardEvents()), EncodedRecorder(HeardEvents()), RawRecorder()
    for sink in (encoded, others, raw):
        sinks.add(sink)
    for item in (PACKET, PICTURE, SOUND):
        sinks.publish(item)
    for sink in (encoded, others, raw):
        sink.write()
    assert encoded.written == others.written == [PACKET]
    assert len(raw.pictures) == len(raw.sound) == 1


def test_only_forms_that_somebody_gets_are_wanted() -> None:
    sinks, encoded, raw = Sinks(), EncodedRecorder(HeardEvents()), RawRecorder()
    assert not sinks.want("encoded") and not sinks.want("raw")
    sinks.add(encoded)
    assert sinks.want("encoded") and not sinks.want("raw")
    sinks.add(raw)
    encoded.watched = False
    assert not sinks.want("encoded") and sinks.want("raw")


def test_a_dropped_backlog_is_dropped_everywhere() -> None:
    sinks, encoded, raw = Sinks(), EncodedRecorder(HeardEvents()), RawRecorder()
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


def test_a_sink_that_fails_to_close_keeps_no_other_open() -> None:
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
