"""Stands for daily-python, with the names and the arguments that its documentation tells, and without any network.

A process that is to find it has a folder with this file in its PYTHONPATH. `meetings`: what is there, by address. With
a `LOG` every address has a meeting, and what an avatar does there is appended to that file, as JSON lines.
"""

from __future__ import annotations

import array
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LOG: str | None = None
LOUD = 500

devices: dict[str, Any] = {}  # by name
meetings: dict[str, Meeting] = {}
initialised: list[int] = []  # one for each call of `Daily.init`


@dataclass(eq=False)
class Meeting:
    """`error`: of a join. `answers`: whether a join is answered at all."""

    token: str = ""
    error: str | None = None
    answers: bool = True
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    clients: list[CallClient] = field(default_factory=list)  # of avatars that are in it

    def enter(self, name: str) -> None:
        person = self.people[name] = {"id": name, "info": {"isLocal": False, "userName": name}}
        for client in self.clients:
            client.call_back("on_participant_joined", person)

    def leave(self, name: str) -> None:
        person = self.people.pop(name)
        for client in self.clients:
            client.call_back("on_participant_left", person, "leftCall")

    def end(self, error: str | None) -> None:
        for client in self.clients:
            if error is not None:
                client.call_back("on_error", error)
            client.call_back("on_call_state_updated", "left")


def note(**what: object) -> None:
    if LOG:
        with Path(LOG).open("a") as file:
            file.write(json.dumps(what) + "\n")


class EventHandler:
    def on_participant_joined(self, participant: Mapping[str, Any]) -> None: ...

    def on_participant_left(self, participant: Mapping[str, Any], reason: str) -> None: ...

    def on_error(self, message: str) -> None: ...

    def on_call_state_updated(self, state: str) -> None: ...


class VirtualCameraDevice:
    def __init__(self, name: str, width: int, height: int, color_format: str) -> None:
        self.name, self.width, self.height, self.color_format = name, width, height, color_format
        self.frames = 0
        self.greys: list[float] = []

    def write_frame(self, frame: bytes) -> None:
        assert self.color_format == "I420" and len(frame) == self.width * self.height * 3 // 2, len(frame)
        self.frames += 1
        self.greys.append(sum(frame[: self.width]) / self.width)
        if self.frames % 25 == 1:
            note(did="frame", width=self.width, height=self.height)


class VirtualMicrophoneDevice:
    def __init__(self, name: str, sample_rate: int, channels: int) -> None:
        self.name, self.sample_rate, self.channels = name, sample_rate, channels
        self.samples = 0
        self.loud = False

    def write_frames(self, frame: bytes, completion: Callable[[int], None] | None = None) -> int:
        samples = array.array("h", frame)
        self.samples += len(samples)
        loud = max(samples) > LOUD
        if loud and not self.loud:
            note(did="speak")
        self.loud = loud
        return len(samples)


class Daily:
    @staticmethod
    def init(worker_threads: int = 2) -> None:
        initialised.append(worker_threads)

    @staticmethod
    def create_camera_device(
        device_name: str, width: int, height: int, color_format: str = "RGBA"
    ) -> VirtualCameraDevice:
        devices[device_name] = VirtualCameraDevice(device_name, width, height, color_format)
        return devices[device_name]  # type: ignore[no-any-return]

    @staticmethod
    def create_microphone_device(
        device_name: str, sample_rate: int = 16000, channels: int = 1, non_blocking: bool = False
    ) -> VirtualMicrophoneDevice:
        assert non_blocking
        devices[device_name] = VirtualMicrophoneDevice(device_name, sample_rate, channels)
        return devices[device_name]  # type: ignore[no-any-return]


class CallClient:
    def __init__(self, event_handler: EventHandler | None = None) -> None:
        self._handler = event_handler
        self.meeting: Meeting | None = None
        self.name = ""
        self.inputs: dict[str, Any] = {}
        self.profiles: dict[str, Any] = {}
        self.released = False

    def set_user_name(self, user_name: str) -> None:
        self.name = user_name

    def update_subscription_profiles(self, profile_settings: Mapping[str, Any], completion: Any = None) -> None:
        self.profiles |= profile_settings

    def update_inputs(self, input_settings: Mapping[str, Any], completion: Any = None) -> None:
        self.inputs |= input_settings

    def join(
        self,
        meeting_url: str,
        meeting_token: str | None = None,
        client_settings: Mapping[str, Any] | None = None,
        completion: Callable[[Mapping[str, Any] | None, str | None], None] | None = None,
    ) -> None:
        meeting = meetings.get(meeting_url)
        if LOG and meeting is None:
            meeting = Meeting(token=meeting_token or "")
            meeting.enter("caller")
        error = "no-room: the meeting does not exist" if meeting is None else meeting.error
        if meeting is not None and error is None and meeting.token != meeting_token:
            error = "not-allowed: invalid token"
        if meeting is not None and not meeting.answers:
            return
        assert client_settings is not None and completion is not None
        if error is not None:
            in_thread(completion, None, error)
            return
        assert meeting is not None
        self.meeting = meeting
        self.inputs = dict(client_settings["inputs"])
        meeting.clients.append(self)
        note(did="join", url=meeting_url, token=meeting_token, name=self.name)
        local = {"id": "me", "info": {"isLocal": True, "userName": self.name}}
        in_thread(completion, {"participants": {"local": local, **meeting.people}}, None)

    def leave(self, completion: Callable[[str | None], None] | None = None) -> None:
        if self.meeting is not None:
            self.meeting.clients.remove(self)
            self.meeting = None
            note(did="leave")
        if completion is not None:
            in_thread(completion, None)

    def release(self) -> None:
        self.released = True

    def call_back(self, event: str, *values: object) -> None:
        in_thread(getattr(self._handler, event), *values)

    @property
    def camera(self) -> VirtualCameraDevice:
        return devices[self.inputs["camera"]["settings"]["deviceId"]]  # type: ignore[no-any-return]

    @property
    def microphone(self) -> VirtualMicrophoneDevice:
        return devices[self.inputs["microphone"]["settings"]["deviceId"]]  # type: ignore[no-any-return]


def in_thread(call: Callable[..., None], *values: object) -> None:
    """As the library calls back: in another thread. Returns when the call has returned."""
    thread = threading.Thread(target=call, args=values)
    thread.start()
    thread.join()
