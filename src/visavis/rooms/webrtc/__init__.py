"""WebRTC peers: the one package that imports aiortc and its ICE library aioice.

Nothing outside it names one of their types, so that another library can take their place here. They are pinned to one
minor version in pyproject.toml, because this package also touches names that they do not document: `private_names`
lists those, and tests/rooms/webrtc checks each.
"""
