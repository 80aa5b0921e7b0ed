"""The parts of a stage that can be exchanged: the renderer and the speech-to-motion. The stage's command line names
them, so that a test can use its own.
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
        """Make a renderer. It lays the avatar out for this size and output: half a second of work for the first of a
        size, so it is called in a thread. `image`: the file of the backdrop's picture, if it has one.

        Raises `BackgroundRefused` for a picture that cannot be read.
        """
        ...


class Parts(Protocol):
    """`load_avatar` is called in a thread and may take long. `open_speech` is called in the event loop and must be
    quick.
    """

    def load_avatar(self, path: Path) -> Avatar:
        """Raises `PackUnreadable`."""
        ...

    def open_speech(self) -> SpeechToMotion: ...


KEPT_PLANS = 4  # of one avatar in memory, each for a size and an output
BUILT_IN = "visavis.stage.parts:built_in"


def load_parts(name: str) -> Parts:
    """Call the function `module:function` and return its parts."""
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

        if len(self.pack.plans) >= KEPT_PLANS:
            self.pack.plans.clear()  # renderers keep the plans that they use
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
    """Return the project's own renderer and speech-to-motion. They are imported now, so that the first session does not
    wait for that.
    """
    import cv2

    import visavis.engine.pack.avatar_pack
    import visavis.engine.render.cpu
    import visavis.engine.speech.stream  # noqa: F401

    cv2.setNumThreads(1)  # a stage uses one core; a machine with more cores runs more stages
    return _BuiltIn()
