"""Runs in the environment of tools/openapi_client.py, in a folder with the packages that the generator has made: reads
what was answered and said from `cases.json`, and prints what the generated client makes of each, written again.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import sys
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, ".")
http: Any = importlib.import_module("generated_http")
api: Any = importlib.import_module("generated_http.api")
models: Any = importlib.import_module("generated_channel.models")
client = http.Client(base_url="http://visavis.test", raise_on_unexpected_status=True)
modules = {
    found.name.rpartition(".")[2]: found.name for found in pkgutil.walk_packages(api.__path__, "generated_http.api.")
}


def of_answer(case: Any) -> Any:
    module: Any = importlib.import_module(modules[re.sub("_+", "_", case["operation"])])
    response = httpx.Response(case["status"], json=case["body"])
    return module._parse_response(client=client, response=response).to_dict()


def of_message(case: Any) -> Any:
    """Return what the first model that takes the whole message makes of it."""
    written = None
    for name in case["models"]:
        try:
            written = getattr(models, name).from_dict(case["body"]).to_dict()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            written = written or f"{name}: {error!r}"
        if written == case["body"]:
            break
    return written


def written_again(case: Any) -> Any:
    try:
        return of_answer(case) if "operation" in case else of_message(case)
    except Exception as error:  # noqa: BLE001  # whatever it is, the test shows it
        return repr(error)


cases = json.loads(Path("cases.json").read_text())
json.dump([written_again(case) for case in cases], sys.stdout)
