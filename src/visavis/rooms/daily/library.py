"""The part of daily-python that a room uses. It is optional: without it this server has no Daily rooms.

Its calls may block, so a room makes them in threads; it calls back in threads of its own.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Protocol

from visavis.errors import RoomPlatformUnavailable

JoinedCall = Callable[[Mapping[str, Any] | None, str | None], None]
"""Called with what is in the room, or with an error."""


class Camera(Protocol):
    def write_frame(self, frame: bytes) -> None: ...


class Microphone(Protocol):
    def write_frames(self, frame: bytes) -> int: ...


class Client(Protocol):
    """A participant of a call."""

    def set_user_name(self, user_name: str) -> None: ...

    def update_subscription_profiles(self, profile_settings: Mapping[str, Any]) -> None: ...

    def update_inputs(self, input_settings: Mapping[str, Any]) -> None: ...

    def join(
        self, meeting_url: str, meeting_token: str, client_settings: Mapping[str, Any], completion: JoinedCall
    ) -> None: ...

    def leave(self, completion: Callable[[str | None], None]) -> None: ...

    def release(self) -> None: ...


class Devices(Protocol):
    """The class `Daily` of daily-python."""

    @staticmethod
    def create_camera_device(device_name: str, width: int, height: int, color_format: str) -> Camera: ...

    @staticmethod
    def create_microphone_device(
        device_name: str, sample_rate: int, channels: int, non_blocking: bool
    ) -> Microphone: ...


class Library(Protocol):
    """The module `daily`."""

    Daily: Devices
    EventHandler: type
    CallClient: Callable[[Any], Client]  # with an event handler


def is_installed() -> bool:
    """Whether this process can join Daily rooms."""
    return importlib.util.find_spec("daily") is not None


@cache
def load() -> Library:
    """Return the library, which is set up once in a process. Raises `RoomPlatformUnavailable` without it."""
    try:
        library: Any = importlib.import_module("daily")
    except ImportError:
        raise RoomPlatformUnavailable(
            "This server has no daily rooms",
            suggestion="Have the operator install visavis[daily], or leave room out",
        ) from None
    library.Daily.init()
    loaded: Library = library
    return loaded
