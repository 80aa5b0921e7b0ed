"""Reads session descriptions (SDP, RFC 8866): the facts about each media section that a room checks. Pure.

The WebRTC library has a reader too, but 64 KiB of hostile lines cost it 21 s and 425 MB. This reader looks at each line
once and keeps nothing of a line that it does not know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, TypeGuard, get_args

MAX_LINES = 2000  # a browser's offer of video, sound and data has 240
MAX_SECTIONS = 16
FEEDBACK = frozenset(
    {"nack", "nack pli", "ccm fir", "goog-remb"}
)  # of what a viewer may report; others are passed over
_MEDIA = re.compile(r"m=([a-z]{1,20}) ([0-9]{1,5})(?:/[0-9]{1,5})? ([A-Za-z0-9/]{1,32}) ([\x21-\x7e]{1,32})(?: .*)?")
# 32 characters: a mid is sent in the header of RTP packets
_MID = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,32}")
_CODEC = re.compile(r"([0-9]{1,3}) ([A-Za-z0-9._-]{1,32})/([0-9]{1,6})(?:/[0-9]{1,2})?")
_NUMBERED = re.compile(r"([0-9]{1,3}|\*) (.*)")
_ICE_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")  # RFC 8839, section 5.4
_ICE_PWD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_EXTENSION = re.compile(r"([0-9]{1,5})(?:/[a-z]+)? (\S+)(?: .*)?")

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """`mime_type`: in lower case, for example video/vp8. `parameters`: the value of its fmtp line, '' without one."""

    mime_type: str
    clock_rate_hz: int
    payload_type: int
    parameters: str = ""
    feedback: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """How the packets of a section travel. '' and () stand for lines that are absent."""

    ice_ufrag: str = ""
    ice_pwd: str = ""
    setup: str = ""  # who begins the DTLS handshake
    fingerprints: tuple[str, ...] = ()  # of the DTLS certificate: "sha-256 AB:CD…"
    candidates: tuple[str, ...] = ()  # the values of its candidate lines


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSection:
    """One m= section. `kind`: audio, video, application or any other word. `mid`: '' if the section has none."""

    kind: str
    protocol: str
    first_format: str
    in_use: bool  # false if its port is 0 and it is not bundle-only (RFC 9143, section 6)
    direction: Direction
    mid: str
    rtcp_mux: bool
    codecs: tuple[Codec, ...]
    extensions: dict[str, int]  # of RTP headers: number by URI
    transport: Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """`bundle`: the mids of the BUNDLE group, in order; () without one."""

    bundle: tuple[str, ...]
    ice_lite: bool
    sections: tuple[MediaSection, ...]


@dataclass(slots=True)
class _Attributes:
    """The attributes of one section, or those before the first section, which are the defaults of all sections."""

    media: re.Match[str] | None = None
    names: set[str] = field(default_factory=set)
    direction: Direction | None = None
    mid: str = ""
    ice_ufrag: str = ""
    ice_pwd: str = ""
    setup: str = ""
    fingerprints: list[str] = field(default_factory=list)
    candidates: list[str] = field(default_factory=list)
    bundle: tuple[str, ...] = ()
    codecs: dict[str, tuple[str, int]] = field(default_factory=dict)  # payload type -> name, clock rate
    parameters: dict[str, str] = field(default_factory=dict)
    feedback: dict[str, set[str]] = field(default_factory=dict)
    extensions: dict[str, int] = field(default_factory=dict)


def is_ice_ufrag(value: str) -> bool:
    return _ICE_UFRAG.fullmatch(value) is not None


def is_ice_pwd(value: str) -> bool:
    return _ICE_PWD.fullmatch(value) is not None


def read_description(sdp: str) -> Description:
    """Return the facts of a description. Raises `ValueError` for anything but SDP, for an unreadable m= line, and for
    more than `MAX_LINES` lines or `MAX_SECTIONS` sections. Other unreadable lines count as absent.
    """
    if not sdp.startswith("v=0"):  # RFC 8866: every description begins so
        raise ValueError("It is not SDP")
    if sdp.count("\n") > MAX_LINES:
        raise ValueError(f"It has more than {MAX_LINES} lines")
    whole = _Attributes()
    parts: list[_Attributes] = []
    for line in sdp.split("\n"):
        line = line.rstrip("\r ")
        if line.startswith("m="):
            media = _MEDIA.fullmatch(line)
            if media is None:
                raise ValueError(f"This line is unreadable: {line[:60]}")
            if len(parts) == MAX_SECTIONS:
                raise ValueError(f"It has more than {MAX_SECTIONS} sections")
            parts.append(_Attributes(media=media))
        elif line.startswith("a="):
            name, _, value = line[2:].partition(":")
            _read(parts[-1] if parts else whole, name, value)
    return Description(
        bundle=whole.bundle,
        ice_lite="ice-lite" in whole.names,
        sections=tuple(_section(part, whole) for part in parts),
    )


def _read(into: _Attributes, name: str, value: str) -> None:
    match name:
        case "ice-lite" | "rtcp-mux" | "bundle-only":
            into.names.add(name)
        case "mid" if _MID.fullmatch(value):
            into.mid = value
        case "ice-ufrag":
            into.ice_ufrag = value
        case "ice-pwd":
            into.ice_pwd = value
        case "setup":
            into.setup = value
        case "fingerprint":
            into.fingerprints.append(value)
        case "candidate":
            into.candidates.append(value)
        case "group" if value.startswith("BUNDLE ") and not into.bundle:
            into.bundle = tuple(value.split()[1:])
        case "rtpmap" if (codec := _CODEC.fullmatch(value)) and int(codec[1]) < 128:
            into.codecs.setdefault(codec[1], (codec[2].lower(), int(codec[3])))
        case "fmtp" if numbered := _NUMBERED.fullmatch(value):
            into.parameters.setdefault(numbered[1], numbered[2])
        case "rtcp-fb" if (numbered := _NUMBERED.fullmatch(value)) and numbered[2] in FEEDBACK:
            into.feedback.setdefault(numbered[1], set()).add(numbered[2])
        case "extmap" if extension := _EXTENSION.fullmatch(value):
            into.extensions.setdefault(extension[2], int(extension[1]))
        case _ if _is_direction(name):
            into.direction = name


def _is_direction(name: str) -> TypeGuard[Direction]:
    return name in get_args(Direction)


def _section(part: _Attributes, whole: _Attributes) -> MediaSection:
    assert part.media is not None
    kind, port, protocol, first_format = part.media.groups()
    for_all = part.feedback.get("*", set())
    return MediaSection(
        kind=kind,
        protocol=protocol,
        first_format=first_format,
        in_use=int(port) > 0 or "bundle-only" in part.names,
        direction=part.direction or whole.direction or "sendrecv",  # RFC 8866, section 6.7
        mid=part.mid,
        rtcp_mux="rtcp-mux" in part.names,
        codecs=tuple(
            Codec(
                mime_type=f"{kind}/{name}",
                clock_rate_hz=clock_rate_hz,
                payload_type=int(payload_type),
                parameters=part.parameters.get(payload_type, ""),
                feedback=frozenset(for_all | part.feedback.get(payload_type, set())),
            )
            for payload_type, (name, clock_rate_hz) in part.codecs.items()
        ),
        extensions=part.extensions,
        transport=Transport(
            ice_ufrag=part.ice_ufrag or whole.ice_ufrag,
            ice_pwd=part.ice_pwd or whole.ice_pwd,
            setup=part.setup or whole.setup,
            fingerprints=tuple(part.fingerprints or whole.fingerprints),
            candidates=tuple(part.candidates),
        ),
    )
