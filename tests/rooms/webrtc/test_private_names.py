"""The undocumented names of aiortc, aioice and pylibsrtp still exist. If one is missing, the failing test says which
one and its purpose.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import re
import sys
from pathlib import Path

import aioice
import aiortc
import pylibsrtp
import pytest
from aioice.turn import TurnClientUdpProtocol, TurnTransport
from aiortc import RTCPeerConnection

import visavis.rooms.webrtc
from visavis.rooms.webrtc.private.names import PRIVATE_NAMES, PrivateName

PACKAGE = Path(visavis.rooms.webrtc.__file__).parent
LIBRARIES = {"aiortc": aiortc, "aioice": aioice, "pylibsrtp": pylibsrtp, "asyncio": asyncio}


@pytest.fixture(scope="module")
def owners() -> dict[str, object]:
    """An instance of each class whose instances have one of the names, made in the usual way."""

    async def make() -> dict[str, object]:
        connection = RTCPeerConnection()
        transceiver = connection.addTransceiver("video")
        transport = transceiver.receiver.transport
        relay = TurnClientUdpProtocol(("192.0.2.1", 3478), "name", "password", 600, 500)
        made = {
            "aioice.turn.TurnClientUdpProtocol": relay,
            "aioice.turn.TurnTransport": TurnTransport(relay),
            "pylibsrtp.Session": pylibsrtp.Session(),
            "aioice.ice.Connection": aioice.Connection(ice_controlling=True),
            "aioice.ice.StunProtocol": aioice.ice.StunProtocol(aioice.Connection(ice_controlling=True)),
            "aioice.candidate.Candidate": aioice.Candidate("1", 1, "udp", 1, "192.0.2.1", 5000, "host"),
            "aiortc.RTCPeerConnection": connection,
            "aiortc.RTCRtpSender": transceiver.sender,
            "aiortc.RTCRtpReceiver": transceiver.receiver,
            "aiortc.RTCDtlsTransport": transport,
            "aiortc.RTCIceTransport": transport.transport,
            "aiortc.RTCCertificate": aiortc.RTCCertificate.generateCertificate(),
            "asyncio.SelectorEventLoop": asyncio.SelectorEventLoop,
            "aiortc.rtcrtpreceiver.TimestampMapper": importlib.import_module("aiortc.rtcrtpreceiver").TimestampMapper(),
        }
        await connection.close()
        return made

    return asyncio.run(make())


@pytest.mark.parametrize("private", PRIVATE_NAMES, ids=lambda private: f"{private.owner}.{private.name}")
def test_a_private_name_still_exists_and_is_still_used(private: PrivateName, owners: dict[str, object]) -> None:
    library = LIBRARIES[private.owner.split(".")[0]]
    version = getattr(library, "__version__", sys.version)
    gone = f"{private.owner}.{private.name} is missing in {library.__name__} {version}: {private.purpose}"
    owner = owners[private.owner] if private.owner in owners else importlib.import_module(private.owner)
    assert hasattr(owner, private.name), gone
    # A name that the library no longer uses is missing too: setting it would have no effect.
    plain_name = re.sub(r"^_\w+?(?=__)", "", private.name)
    assert library.__file__ is not None
    sources = [path.read_text() for path in Path(library.__file__).parent.rglob("*.py")]
    assert sum(len(re.findall(rf"\b{plain_name}\b", source)) for source in sources) >= 2, gone


def test_every_private_name_that_is_used_is_listed() -> None:
    listed_attributes = {private.name for private in PRIVATE_NAMES}
    listed_imports = {(private.owner, private.name) for private in PRIVATE_NAMES}
    used_attributes: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LIBRARIES:
                module = node.module or ""
                for name in node.names:
                    documented = name.name in LIBRARIES[module].__all__ if module in LIBRARIES else False
                    assert documented or (module, name.name) in listed_imports, f"{path.name}: {module}.{name.name}"
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.endswith("__"):
                if isinstance(node.value, ast.Name) and node.value.id == "self":
                    continue
                assert path.parent.name == "private", f"{path.name}, line {node.lineno}: {node.attr}"
                used_attributes.add(node.attr)
    assert used_attributes <= listed_attributes
    unused = {name for name in listed_attributes if name.startswith("_")} - used_attributes
    assert not unused, "listed, but no longer used"
