"""WebRTC peers. Only this package imports aiortc and its ICE library aioice.

Nothing outside uses their types, so that another library can replace them here. pyproject.toml pins them to one minor
version, because this package also uses names that they do not document. `private.names` lists these names, and
tests/rooms/webrtc checks each.
"""
