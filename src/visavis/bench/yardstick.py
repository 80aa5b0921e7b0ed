"""The figures of this machine that every benchmark prints beside its own: the speed of one core, and what encoding
alone takes. They are measured in the same run, because neighbours on a shared machine change both.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2

from visavis.bench.encoding import EncodingCost, mean, measure_encoding
from visavis.bench.pipeline import speaking_fps
from visavis.engine.pack.avatar_pack import AvatarPack

SIZE_PX = (512, 512)
FPS = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFigures:
    """`pipeline_fps`: what `visavis bench pipeline` prints for 512x512. `encoding`: of one session."""

    pipeline_fps: float
    encoding: EncodingCost

    def members(self) -> dict[str, float]:
        """Return the members of a benchmark's JSON."""
        return {
            "pipeline_fps_per_core": self.pipeline_fps,
            "encoding_cores_speaking": round(self.encoding.speaking_cores, 4),
            "encoding_cores_silent": round(self.encoding.silent_cores, 4),
        }

    def sentence(self) -> str:
        return (
            f"This machine makes {self.pipeline_fps:.0f} frames a second on one core (visavis bench pipeline); "
            f"encoding alone takes {self.encoding.speaking_cores:.4f} of a core while a session speaks, "
            f"{self.encoding.silent_cores:.4f} in silence"
        )


class Yardstick:
    """Measures the machine before and after a benchmark. `pack`: the folder of the pack of the default portrait."""

    def __init__(self, pack: Path) -> None:
        cv2.setNumThreads(1)
        self._folder, self._pack = pack, AvatarPack.load(pack)
        self._encoding_before = self._measure()

    def _measure(self) -> EncodingCost:
        return measure_encoding(self._pack, size=SIZE_PX, fps=FPS)

    def end(self) -> MachineFigures:
        return MachineFigures(
            pipeline_fps=speaking_fps(self._folder),
            encoding=mean(self._encoding_before, self._measure()),
        )
