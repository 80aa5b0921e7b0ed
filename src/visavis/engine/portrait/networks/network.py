"""One network on LiteRT, on one thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

Tensor = NDArray[np.float32]


class Network:
    """`content`: the network's file. Tensors are named by their number in it."""

    def __init__(self, content: bytes) -> None:
        self._interpreter = Interpreter(model_content=content, num_threads=1)
        self._interpreter.allocate_tensors()
        self.inputs: tuple[int, ...] = tuple(one["index"] for one in self._interpreter.get_input_details())
        self.outputs: tuple[int, ...] = tuple(one["index"] for one in self._interpreter.get_output_details())

    def run(self, tensors: Mapping[int, Tensor], outputs: Sequence[int] | None = None) -> dict[int, Tensor]:
        """Return some of its outputs, or all, for its inputs."""
        for number in self.inputs:
            self._interpreter.set_tensor(number, tensors[number])
        self._interpreter.invoke()
        return {number: self._interpreter.get_tensor(number) for number in outputs or self.outputs}

    def of_picture(self, picture: Tensor) -> list[Tensor]:
        """Return all outputs for its only input, a picture: float32 (H, W, 3)."""
        (number,) = self.inputs
        return list(self.run({number: picture[None]}).values())
