"""The figures of this machine that every benchmark prints beside its own: the speed of one core, and what encoding
alone takes. They are measured in the same run, because neighbours on a shared machine change both, and several times,
because they change from second to second.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2

from visavis.bench.encoding import EncodingCost, measure_encoding
from visavis.bench.figures import Repeated
from visavis.bench.pipeline import speaking_fps
from visavis.engine.pack.avatar_pack import AvatarPack

SIZE_PX = (512, 512)
FPS = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFigures:
    """`pipeline_fps`: what `visavis bench pipeline` prints for 512x512. `speaking`, `silent`: the share of a core that
    encoding one session takes.
    """

    pipeline_fps: Repeated
    speaking: Repeated
    silent: Repeated

    def members(self) -> dict[str, object]:
        """Return the members of a benchmark's JSON."""
        return {
            "pipeline_fps_per_core": self.pipeline_fps.median,
            "pipeline_fps_spread": self.pipeline_fps.spread,
            "encoding_cores_speaking": self.speaking.median,
            "encoding_cores_speaking_spread": self.speaking.spread,
            "encoding_cores_silent": self.silent.median,
            "encoding_cores_silent_spread": self.silent.spread,
        }

    def sentence(self) -> str:
        return (
            f"This machine makes {self.pipeline_fps.text('.0f')} frames a second on one core (visavis bench pipeline); "
            f"encoding alone takes {self.speaking.text('.4f')} of a core while a session speaks, "
            f"{self.silent.text('.4f')} in silence"
        )


class Yardstick:
    """Measures the machine during a benchmark. `pack`: the folder of the pack of the default portrait."""

    def __init__(self, pack: Path) -> None:
        cv2.setNumThreads(1)
        self._folder, self._pack = pack, AvatarPack.load(pack)
        self._encoding: list[EncodingCost] = []

    def measure(self) -> EncodingCost:
        """Measure what encoding takes now: some seconds. May be called in a thread."""
        cost = measure_encoding(self._pack, size=SIZE_PX, fps=FPS)
        self._encoding.append(cost)
        return cost

    def end(self) -> MachineFigures:
        """Return the figures of all calls of `measure`, at least one."""
        return MachineFigures(
            pipeline_fps=speaking_fps(self._folder),
            speaking=Repeated.of([cost.speaking_cores for cost in self._encoding], digits=4),
            silent=Repeated.of([cost.silent_cores for cost in self._encoding], digits=4),
        )
