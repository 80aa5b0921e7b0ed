"""What an avatar does at one instant, as a word. Standard library only: the service names states too."""

from __future__ import annotations

from typing import Literal

AvatarState = Literal["idle", "listening", "thinking", "speaking"]
SettableState = Literal["listening", "thinking"]
"""A state that a client may set; the others follow from the speech."""
