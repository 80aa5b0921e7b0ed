"""A graphics processor is not asked for, so one that is seen and unusable costs nothing and says nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.portrait.network_pictures import PORTRAITS
from visavis.engine.images.sandbox import QUIET

# What drivers and runtimes of graphics processors are loaded by.
LIBRARIES = (
    "libcuda.so.1", "libcudart.so", "libnvidia-ml.so.1", "libOpenCL.so", "libOpenCL.so.1", "libvulkan.so.1",
    "libEGL.so.1", "libGLESv2.so.2", "libLiteRtClGlAccelerator.so", "libLiteRtGpuAccelerator.so",
    "libLiteRtWebGpuAccelerator.so", "libedgetpu.so.1",
)  # fmt: skip
TELL = """
#include <unistd.h>
__attribute__((constructor)) static void tell(void) { if (write(2, "loaded\\n", 7) < 0) return; }
"""
SAYS_ANYWAY = "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"
READ_A_PHOTO = """
import sys
import cv2
from visavis.engine.portrait.models import Models

picture = cv2.imread(sys.argv[1])[:, :, ::-1].copy()
models = Models()
assert models.faces(picture, full_range=False, min_score=0.3) and models.faces(picture, full_range=True, min_score=0.3)
assert models.mesh(picture) is not None and models.person(picture).max() > 0.9
"""


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("cc") is None, reason="compiles libraries that tell of it")
def test_reading_a_photo_loads_no_runtime_of_a_gpu(tmp_path: Path) -> None:
    source = tmp_path / "tell.c"
    source.write_text(TELL)
    first = tmp_path / LIBRARIES[0]
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(first), str(source)], check=True)
    for name in LIBRARIES[1:]:
        shutil.copy(first, tmp_path / name)
    seen = {"CUDA_VISIBLE_DEVICES": "0", "NVIDIA_VISIBLE_DEVICES": "all", "LD_LIBRARY_PATH": str(tmp_path)}

    def run(*code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", *code],
            env=os.environ | QUIET | seen,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return (done.stdout + done.stderr).replace(SAYS_ANYWAY, "")

    assert run(f"import ctypes; ctypes.CDLL('{LIBRARIES[0]}')") == "loaded\n", "such a library would tell"
    assert run(READ_A_PHOTO, str(min(PORTRAITS.glob("*.jpg")))) == ""
