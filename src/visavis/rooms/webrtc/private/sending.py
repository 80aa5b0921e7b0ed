"""Sending packets ourselves in the place of aiortc's sender: its parameters, its sources, its SRTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pylibsrtp
from aiortc import RTCDtlsTransport, RTCRtpSender
from aiortc.rtcrtpparameters import RTCRtpSendParameters


def take_over_sending(
    sender: RTCRtpSender, *, started: Callable[[RTCRtpSendParameters], None], stopped: Callable[[], None]
) -> None:
    """Let the sender send nothing itself. It calls `started` with what was agreed on when its connection is
    established, and `stopped` when the connection is about to close, but only after `started`.
    """
    transport: RTCDtlsTransport | None = None

    async def send(parameters: RTCRtpSendParameters) -> None:
        nonlocal transport
        if transport is None:
            transport = sender.transport
            transport._register_rtp_sender(sender, parameters)
            started(parameters)

    async def stop() -> None:
        nonlocal transport
        if transport is not None:
            transport._unregister_rtp_sender(sender)
            stopped()
            transport = None

    sender.send = send  # type: ignore[method-assign]
    sender.stop = stop  # type: ignore[method-assign]


def name_track(sender: RTCRtpSender, track_id: str) -> None:
    """Set the id of the sender's track, as the description tells it. Called before the description is made."""
    sender._track_id = track_id


def synchronisation_sources(sender: RTCRtpSender) -> tuple[int, int]:
    """Return the SSRC of the sender's packets, and that of those which it sends again."""
    return sender._ssrc, sender._rtx_ssrc


def protect_function() -> int:
    """Return the address of libsrtp's function that protects an RTP packet: `srtp_protect(srtp_t, void *, int *)`."""
    function = pylibsrtp.ffi.addressof(pylibsrtp.lib, "srtp_protect")  # type: ignore[attr-defined]
    return int(pylibsrtp.ffi.cast("uintptr_t", function))  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """The SRTP of a connection's outgoing packets. `srtp`: the address of libsrtp's session, which exists as long as
    this object. `protect_rtcp` protects an RTCP packet.
    """

    srtp: int
    protect_rtcp: Callable[[bytes], bytes]
    session: pylibsrtp.Session


def srtp_address(session: pylibsrtp.Session) -> int:
    """Return the address of libsrtp's session; it is valid as long as `session` exists."""
    return int(pylibsrtp.ffi.cast("uintptr_t", session._srtp[0]))  # type: ignore[attr-defined]


def protection_of(transport: RTCDtlsTransport) -> Protection:
    """Return the SRTP of an established connection."""
    session = transport._tx_srtp
    return Protection(srtp=srtp_address(session), protect_rtcp=session.protect_rtcp, session=session)
