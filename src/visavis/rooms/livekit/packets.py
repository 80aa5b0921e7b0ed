"""Data packets of a LiveKit room: calls between participants (RPC, version 1), byte streams, and states. Pure."""

from __future__ import annotations

import json
import secrets

from google.protobuf.message import DecodeError
from livekit.protocol import models

UNSUPPORTED_METHOD = 1400
APPLICATION_ERROR = 1500
RESPONSE_WITHIN_MS = 8_000

STATE_TOPIC = "session.state"


def parse(raw: bytes) -> models.DataPacket | None:
    """Return a data packet, None for bytes that are none."""
    try:
        return models.DataPacket.FromString(raw)
    except DecodeError:
        return None


def request(to: str, method: str, payload: str) -> tuple[str, bytes]:
    """Return a call to another participant, and its id."""
    call_id = secrets.token_hex(8)
    call = models.RpcRequest(
        id=call_id, method=method, payload=payload, response_timeout_ms=RESPONSE_WITHIN_MS, version=1
    )
    return call_id, _packet(to, rpc_request=call)


def acknowledge(to: str, call_id: str) -> bytes:
    """Return the packet that tells a caller that its call has arrived."""
    return _packet(to, rpc_ack=models.RpcAck(request_id=call_id))


def response(to: str, call_id: str, payload: str) -> bytes:
    return _packet(to, rpc_response=models.RpcResponse(request_id=call_id, payload=payload))


def refusal(to: str, call_id: str, code: int, message: str, *, data: str = "") -> bytes:
    """Return the packet that refuses a call. `data`: the stable code of the error, if it has one."""
    error = models.RpcError(code=code, message=message, data=data)
    return _packet(to, rpc_response=models.RpcResponse(request_id=call_id, error=error))


def finished(position_s: float, *, interrupted: bool) -> str:
    """Return the payload of `lk.playback_finished`: exactly these two members."""
    return json.dumps({"playback_position": position_s, "interrupted": interrupted})


def state(name: str, reason: str | None = None, *, seconds_left: int | None = None) -> bytes:
    """Return the packet that tells everybody in the room the state of the session."""
    told: dict[str, str | int] = {"state": name}
    if reason is not None:
        told["reason"] = reason
    if seconds_left is not None:
        told["seconds_left"] = seconds_left
    user = models.UserPacket(payload=json.dumps(told).encode(), topic=STATE_TOPIC)
    return models.DataPacket(kind=models.DataPacket.Kind.RELIABLE, user=user).SerializeToString()


def _packet(to: str, **value: object) -> bytes:
    packet = models.DataPacket(destination_identities=[to], **value)  # type: ignore[arg-type]
    return packet.SerializeToString()
