"""The STUN messages of an established connection as bytes: its checks and their answers are all alike but for a number
and two checksums. aioice makes and reads each through an object for every attribute: 0.2 ms, for every viewer in every
second.
"""

from __future__ import annotations

import binascii
import hmac
import os
import socket
import struct

import aioice.ice

COMPONENT = 1  # of a connection: the only one, because RTP and RTCP share it
REQUEST, SUCCESS, ERROR = 0x0001, 0x0101, 0x0111  # of the method Binding
_REQUEST_BYTES = REQUEST.to_bytes(2, "big")
_SUCCESS_BYTES = SUCCESS.to_bytes(2, "big")
_ERROR_BYTES = ERROR.to_bytes(2, "big")
_COOKIE = 0x2112A442
_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")
_USERNAME, _INTEGRITY, _XOR_MAPPED_ADDRESS, _FINGERPRINT = 0x0006, 0x0008, 0x0020, 0x8028
_CONTROLLED, _CONTROLLING = 0x8029, 0x802A
_INTEGRITY_BYTES, _FINGERPRINT_BYTES = 24, 8  # with the head of the attribute
_FINGERPRINT_XOR = 0x5354554E


def new_number() -> bytes:
    """Return the number of another transaction."""
    return os.urandom(12)


def number_of(message: bytes) -> bytes:
    return message[8:20]


def is_request(message: bytes) -> bool:
    return message[:2] == _REQUEST_BYTES


def is_response(message: bytes) -> bool:
    """Whether this is a success or an error, of the method Binding."""
    return message[:2] in (_SUCCESS_BYTES, _ERROR_BYTES)


def is_success(message: bytes) -> bool:
    return message[:2] == _SUCCESS_BYTES


def attributes_of(message: bytes) -> bytes:
    """Return all attributes of a message."""
    return message[_HEADER.size :]


def signed(kind: int, number: bytes, attributes: bytes, key: bytes) -> bytes:
    """Return a message with MESSAGE-INTEGRITY and FINGERPRINT (RFC 8489, section 14.5 to 14.7). `number`: 12 bytes of
    its transaction. `attributes`: whole, each filled up to 4 bytes.
    """
    length = len(attributes) + _INTEGRITY_BYTES
    unsigned = _HEADER.pack(kind, length, _COOKIE, number) + attributes
    integrity = hmac.digest(key, unsigned, "sha1")
    length += _FINGERPRINT_BYTES
    message = _HEADER.pack(kind, length, _COOKIE, number) + attributes + _ATTRIBUTE.pack(_INTEGRITY, 20) + integrity
    return message + struct.pack("!HHI", _FINGERPRINT, 4, binascii.crc32(message) ^ _FINGERPRINT_XOR)


def read_signed(message: bytes, key: bytes) -> dict[int, bytes] | None:
    """Return the attributes that a message has signed with `key`, by type, the first of each; None if it is malformed
    or not signed so.
    """
    if len(message) < _HEADER.size:
        return None
    kind, length, cookie, number = _HEADER.unpack_from(message)
    if cookie != _COOKIE or len(message) != _HEADER.size + length:
        return None
    attributes: dict[int, bytes] = {}
    at = _HEADER.size
    while at + _ATTRIBUTE.size <= len(message):
        name, size = _ATTRIBUTE.unpack_from(message, at)
        value = message[at + _ATTRIBUTE.size : at + _ATTRIBUTE.size + size]
        if name == _INTEGRITY:
            covered = _HEADER.pack(kind, at - _HEADER.size + _INTEGRITY_BYTES, cookie, number)
            expected = hmac.digest(key, covered + message[_HEADER.size : at], "sha1")
            return attributes if size == len(expected) and hmac.compare_digest(value, expected) else None
        attributes.setdefault(name, value)
        at += _ATTRIBUTE.size + size + -size % 4
    return None


def address_seen(answer: bytes, attributes: dict[int, bytes]) -> bytes | None:
    """Return where the peer saw us, by the attributes of its answer: port and address, packed; None if not told."""
    value = attributes.get(_XOR_MAPPED_ADDRESS)
    if value is None or len(value) not in (8, 20):
        return None
    mask = struct.pack("!HI", _COOKIE >> 16, _COOKIE) + number_of(answer)
    return bytes(one ^ other for one, other in zip(value[2:], mask, strict=False))


def known_check_answer(protocol: aioice.ice.StunProtocol, check: bytes, address: tuple[str, int]) -> bytes | None:
    """Return the answer to a check of the peer over the pair that is nominated, which changes nothing. None for all
    else, which aioice answers: another address, another role, credentials of before a restart, a malformed check.
    """
    connection = protocol.receiver
    pair = connection._nominated.get(COMPONENT)
    if pair is None or pair.protocol is not protocol or pair.remote_addr != address or connection._closing:
        return None
    key = connection.local_password.encode()
    attributes = read_signed(check, key)
    if attributes is None:
        return None
    user_name = f"{connection.local_username}:{connection.remote_username}".encode()
    same_role = _CONTROLLING if connection.ice_controlling else _CONTROLLED
    if attributes.get(_USERNAME) != user_name or same_role in attributes:
        return None
    number = number_of(check)
    mask = struct.pack("!HI", _COOKIE >> 16, _COOKIE) + number
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    seen = struct.pack("!H", address[1]) + socket.inet_pton(family, address[0])
    masked = bytes(one ^ other for one, other in zip(seen, mask, strict=False))
    value = struct.pack("!BB", 0, 2 if family == socket.AF_INET6 else 1) + masked
    return signed(SUCCESS, number, _ATTRIBUTE.pack(_XOR_MAPPED_ADDRESS, len(value)) + value, key)
