"""Offers of a viewer that never connects."""

from __future__ import annotations

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection

from visavis.rooms.webrtc.ice_settings import apply_ice_settings


async def make_offer(*kinds: str, direction: str = "recvonly") -> str:
    """Return an SDP offer with a section of each kind, with all candidates."""
    apply_ice_settings()
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
    try:
        for kind in kinds:
            connection.addTransceiver(kind, direction=direction)
        await connection.setLocalDescription(await connection.createOffer())
        return connection.localDescription.sdp
    finally:
        await connection.close()
