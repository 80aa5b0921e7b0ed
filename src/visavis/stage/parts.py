"""What a stage is built of, so that a test can bring a renderer or a speech-to-motion of its own: named on the stage's
command line.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from visavis.engine.render.backdrop import Backdrop, Framing
from visavis.refusals import translated_engine_errors

if TYPE_CHECKING:  # the service names the parts of a stage and carries none of them, numpy least of all
    from visavis.engine.pack.avatar_pack import AvatarPack
    from visavis.engine.render.port import Renderer
    from visavis.engine.speech.port import SpeechToMotion


class Avatar(Protocol):
    """An avatar pack in memory, shared by every session that shows it."""

    def renderer(
        self, *, width_px: int, height_px: int, backdrop: Backdrop, framing: Framing, image: Path | None
    ) -> Renderer:
        """Make a renderer; called in a thread, since it lays the avatar out for its size (half a second for the first
        of a size). `image`: the file of the backdrop's picture, where it has one.

        Raises `BackgroundRefused` when a picture cannot be read.
        """
        ...


class Parts(Protocol):
    """`load_avatar` is called in a thread and may take long; `open_speech` is called in the event loop and may not."""

    def load_avatar(self, path: Path) -> Avatar:
        """Raises `PackUnreadable`."""
        ...

    def open_speech(self) -> SpeechToMotion: ...


KEPT_SIZES = 4  # and backgrounds, of an avatar that is laid out for many while it is in memory
BUILT_IN = "visavis.stage.parts:built_in"


def load_parts(name: str) -> Parts:
    """Return what the function `module:function` gives."""
    module, _, function = name.partition(":")
    parts: Parts = getattr(import_module(module), function)()
    return parts


@dataclass(frozen=True, slots=True)
class _PackedAvatar:
    pack: AvatarPack

    def renderer(
        self, *, width_px: int, height_px: int, backdrop: Backdrop, framing: Framing, image: Path | None
    ) -> Renderer:
        from visavis.engine.render.cpu import CpuRenderer

        if len(self.pack.plans) >= KEPT_SIZES:
            self.pack.plans.clear()  # renderers keep their own; the next of a size lays it out anew
        with translated_engine_errors():
            return CpuRenderer(self.pack, width_px, height_px, backdrop, framing, image)


class _BuiltIn:
    def load_avatar(self, path: Path) -> Avatar:
        from visavis.engine.pack.avatar_pack import AvatarPack

        with translated_engine_errors():
            return _PackedAvatar(AvatarPack.load(path))

    def open_speech(self) -> SpeechToMotion:
        from visavis.engine.speech.stream import SpeechStream

        return SpeechStream()


def built_in() -> Parts:
    """The project's own renderer and speech-to-motion, imported now so that the first session does not wait for it."""
    import cv2

    import visavis.engine.pack.avatar_pack
    import visavis.engine.render.cpu
    import visavis.engine.speech.stream  # noqa: F401

    cv2.setNumThreads(1)  # a stage is one core's worth; more cores get more stages
    return _BuiltIn()
