"""What Windows runs: the engine and its commands, not the server. Here a process forgets what Windows does not have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import visavis.library

SAMPLE = Path(visavis.library.__file__).parent / "voices" / "sample.wav"
# All libraries are imported before, as on the system that they are made for. Then only our own modules believe that
# this is Windows.
ON_WINDOWS = """
import signal, sys
import visavis.cli, visavis.engine.images.worker, visavis.offline, visavis.photo
for name in [name for name in sys.modules if name.partition(".")[0] == "visavis"]:
    del sys.modules[name]
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
for name in ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGKILL"):
    delattr(signal, name)
sys.platform = "win32"
import visavis.__main__, visavis.engine.images.worker, visavis.photo
sys.argv[0] = "visavis"
visavis.__main__.main()
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", ON_WINDOWS, *words], capture_output=True, text=True, check=False)


def test_a_film_is_rendered(tmp_path: Path) -> None:
    out = tmp_path / "film.mp4"
    done = run(
        "render", "--avatar", "iris", "--speech", str(SAMPLE), "--size", "64x64", "--fps", "2", "--out", str(out)
    )
    assert done.returncode == 0, done.stderr
    assert out.stat().st_size > 10_000


def test_the_server_says_in_one_line_what_it_needs() -> None:
    done = run("serve")
    expected = "visavis: serve needs Linux or macOS; on Windows, run it in WSL\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", expected)
