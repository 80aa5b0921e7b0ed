"""Fetches the networks that read photos out of MediaPipe's published wheel, cuts and checks them, and puts them where
`visavis.engine.portrait.networks.files` reads them. `make setup` calls this; a wheel of Visavis already has them.

    .venv/bin/python scripts/fetch_networks.py [--wheel FILE]

The wheel is fetched by uv, with the digest in `networks.txt`. Only its five model files are read; nothing of it is run.
The face mesh has three operators of MediaPipe's own, which LiteRT lacks: it is cut at those into networks of its own.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from visavis.engine.errors import NetworkFileBroken
from visavis.engine.portrait.networks.files import DIGESTS, FOLDER, check_files

HERE = Path(__file__).parent
MODULES = "mediapipe/modules"
COPIED = {
    "face_short_range.tflite": "face_detection/face_detection_short_range.tflite",
    "face_full_range.tflite": "face_detection/face_detection_full_range_sparse.tflite",
    "person.tflite": "selfie_segmentation/selfie_segmentation.tflite",
}
MESH = "face_landmark/face_landmark_with_attention.tflite"


def cut(content: bytes) -> dict[str, bytes]:
    """Return the networks of the face mesh and `mesh.json`: its steps in order, each a network or an operator, with the
    tensors that it reads and gives by their numbers in the whole network.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    model.metadata = None
    graph, codes = model.subgraphs[0], model.operatorCodes
    fixed = {i for i, tensor in enumerate(graph.tensors) if model.buffers[tensor.buffer].data is not None}
    needs = [set(operator.inputs) for operator in graph.operators] + [set(graph.outputs)]
    files: dict[str, bytes] = {}
    steps: list[dict[str, Any]] = []
    runs = itertools.groupby(enumerate(graph.operators), key=lambda item: codes[item[1].opcodeIndex].customCode)
    for code, run in runs:
        places, operators = zip(*run, strict=True)
        if code is None:
            name = f"mesh_{len(files) + 1}.tflite"
            files[name], reads, gives = _part(model, operators, fixed, set().union(*needs[places[-1] + 1 :]))
            steps.append({"network": name, "reads": reads, "gives": gives})
            continue
        for one in operators:
            options = {} if one.customOptions is None else flexbuffers.Loads(bytes(one.customOptions))
            reads, gives = ([int(number) for number in numbers] for numbers in (one.inputs, one.outputs))
            steps.append({"operator": code.decode(), "options": options, "reads": reads, "gives": gives})
    plan = {"input": int(graph.inputs[0]), "outputs": [int(number) for number in graph.outputs], "steps": steps}
    files["mesh.json"] = json.dumps(plan, separators=(",", ":")).encode()
    return files


def _part(
    model: Any, operators: tuple[Any, ...], fixed: set[int], later: set[int]
) -> tuple[bytes, list[int], list[int]]:
    """Return a network of some operators, and the numbers of its inputs and outputs. `later`: what others need."""
    graph = model.subgraphs[0]
    made = {int(number) for one in operators for number in one.outputs}
    used = {int(number) for one in operators for number in one.inputs if number >= 0}
    part, piece = copy.copy(model), copy.copy(graph)
    piece.operators = operators
    piece.inputs, piece.outputs = sorted(used - made - fixed), sorted(made & {int(number) for number in later})
    kept = {graph.tensors[number].buffer for number in used & fixed}
    part.subgraphs = [piece]
    part.buffers = [one if i in kept else schema.BufferT() for i, one in enumerate(model.buffers)]
    builder = flatbuffers.Builder()
    builder.Finish(part.Pack(builder), b"TFL3")
    return bytes(builder.Output()), piece.inputs, piece.outputs


def read_models(root: zipfile.Path | Path) -> Iterator[tuple[str, bytes]]:
    """Give all files with their names, out of an unpacked or packed wheel."""
    modules = root.joinpath(*MODULES.split("/"))
    for name, source in COPIED.items():
        yield name, modules.joinpath(*source.split("/")).read_bytes()
    yield from cut(modules.joinpath(*MESH.split("/")).read_bytes()).items()


def fetched(folder: Path) -> Path:
    """Unpack the wheel into a folder, by uv, which checks its digest."""
    command = [HERE.parent / ".uv/bin/uv", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    platform = ["--target", folder, "--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28"]
    subprocess.run([*command, *platform, "-r", HERE / "networks.txt"], check=True)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheel", type=Path, help="MediaPipe's wheel, where nothing can be fetched")
    wheel: Path | None = parser.parse_args().wheel
    try:
        check_files()
        return
    except NetworkFileBroken:
        pass
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="visavis-networks-") as name:
        root = fetched(Path(name)) if wheel is None else zipfile.Path(wheel)
        for file, content in read_models(root):
            digest = hashlib.sha256(content).hexdigest()
            if os.environ.get("VISAVIS_PRINT_DIGESTS"):
                print(f'    "{file}": "{digest}",')
            elif digest != DIGESTS[file]:
                sys.exit(f"visavis: {file} of this wheel is not the file that this version needs")
            partial = FOLDER / f"{file}.{os.getpid()}"
            partial.write_bytes(content)
            partial.replace(FOLDER / file)


if __name__ == "__main__":
    main()
