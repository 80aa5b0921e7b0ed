"""Pages that are built as their developers build them, with the package @visavis/client as npm would install it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tools import node_modules

HERE = Path(__file__).parent
CLIENT = Path(__file__).parents[2] / "integrations" / "browser"
BUILT_WITHIN_S = 300.0
INDEX = """<!doctype html><html lang="en"><title>React</title>
<body><script type="module" src="out.js"></script></body></html>"""
ESBUILD = ["esbuild", "--bundle", "--format=esm", "--loader:.js=jsx", '--define:process.env.NODE_ENV="production"']


class Workshop:
    """A folder in which pages are built. `modules`: its node_modules."""

    def __init__(self, folder: Path, modules: Path) -> None:
        self._folder, self._modules = folder, modules

    def page(self, bundler: str, *command: str, out: str) -> Path:
        """Build the page of a bundler. Return the folder that is to be served."""
        app = self._folder / bundler
        shutil.copytree(HERE / bundler, app)
        shutil.copy(HERE / "page.js", app)
        self._run(app, *command)
        return app / out

    def react(self, name: str, *, version: int) -> Path:
        """Build a page of React."""
        app = self._folder / f"{name}-{version}"
        app.mkdir()
        shutil.copy(HERE / "react" / f"{name}.jsx", app)
        (app / "index.html").write_text(INDEX)
        alias = [] if version == 19 else [f"--alias:{one}={one}-{version}" for one in ("react", "react-dom")]
        self._run(app, *ESBUILD, f"{name}.jsx", *alias, "--outfile=out.js")
        return app

    def _run(self, app: Path, program: str, *arguments: str) -> None:
        path = f"{self._modules / '.bin'}{os.pathsep}{os.environ['PATH']}"
        env = os.environ | {"PATH": path, "NEXT_TELEMETRY_DISABLED": "1", "CI": "1"}
        done = subprocess.run(
            [self._modules / ".bin" / program, *arguments],
            cwd=app,
            env=env,
            timeout=BUILT_WITHIN_S,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-4000:]


@contextmanager
def workshop() -> Iterator[Workshop]:
    """Raises FileNotFoundError without npm."""
    modules = node_modules.made("frontends", HERE)
    # beside node_modules, because bundlers look for them in the folders above a page
    with tempfile.TemporaryDirectory(dir=modules.parent, prefix="pages-") as folder:
        installed = Path(folder) / "node_modules" / "@visavis" / "client"
        installed.mkdir(parents=True)
        shutil.copy(CLIENT / "package.json", installed)
        subprocess.run(
            [modules / ".bin" / "tsc", "--project", CLIENT / "tsconfig.build.json", "--outDir", installed / "dist"],
            check=True,
            timeout=BUILT_WITHIN_S,
        )
        yield Workshop(Path(folder), modules)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder. Yield its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
