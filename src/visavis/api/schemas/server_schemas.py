"""The answers about the server itself: its capacity and its health."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from visavis.api.schemas.parts import Answer


class FreePlaces(Answer):
    width: int
    height: int
    free: int = Field(description="How many more sessions of this size can be started; all sizes share the room")


class ServerCapacity(Answer):
    sessions: int = Field(description="Sessions that run now")
    places: list[FreePlaces]
    load: float = Field(description="The share of the processor cores that is in use, 0 to 1")
    frame_rate: float = Field(description="Frames a second that sessions show; below 25 the server is overloaded")
    wait: int = Field(description="Seconds to wait before a start; 0 while there is a place of some size")


class CapacityAnswer(Answer):
    success: Literal[True] = True
    capacity: ServerCapacity


class Alive(Answer):
    status: Literal["ok"] = "ok"
    event_loop_delay_ms: int = Field(description="The longest delay of the event loop in the last half minute")


class Ready(Answer):
    status: Literal["ready", "starting", "stopping", "unready"]
    default_avatar: bool = Field(description="The default avatar has been performed once")
    stage: bool = Field(description="A stage process is running and answers")
    database: bool = Field(description="The database can be written")
    disk: bool = Field(description="The data folder can be written and has enough free space")
    problems: list[str] = Field(description="What is wrong, a sentence each")
