"""NOTICE names every third-party part that we ship, with its licence, and is part of the package."""

from __future__ import annotations

import json
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTICE = (ROOT / "NOTICE").read_text(encoding="utf-8")
BUNDLED: dict[str, dict[str, str]] = {
    path.removeprefix("node_modules/"): package
    for path, package in json.loads((ROOT / "web/package-lock.json").read_text())["packages"].items()
    if path and not package.get("dev")
}
IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*["']([^"']+)["']""")


def section(title: str) -> str:
    """The text under the heading of NOTICE that ends in `title`."""
    found = re.search(rf"^\d\. [^\n]*{re.escape(title)}\n-+\n(.*?)(?=^\d\. |^Texts of licences)", NOTICE, re.M | re.S)
    assert found, title
    return found[1]


def test_the_package_contains_the_notice_and_the_licence() -> None:
    package = metadata.distribution("visavis")
    assert package.metadata.get_all("License-File") == ["LICENSE", "NOTICE"]
    for name in ("LICENSE", "NOTICE"):
        (path,) = [file for file in package.files or [] if str(file).endswith(f".dist-info/licenses/{name}")]
        assert path.read_text(encoding="utf-8") == (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", BUNDLED)
def test_every_package_bundled_into_the_pages_is_named_with_its_licence(name: str) -> None:
    assert re.search(rf"^  {re.escape(name)} +{re.escape(BUNDLED[name]['license'])} ", section("the pages"), re.M)


def test_the_pages_import_only_packages_that_are_named() -> None:
    imported = {
        name
        for source in (ROOT / "web/src").rglob("*.ts*")
        for name in IMPORT.findall(source.read_text())
        if not name.startswith((".", "@client/"))  # our own
    }
    packages = {"/".join(name.split("/")[: 2 if name.startswith("@") else 1]) for name in imported}
    assert packages <= BUNDLED.keys() and "preact" in packages


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=!~ ]", requirement)[0]


REQUIRED = [name_of(requirement) for requirement in PROJECT["dependencies"]]
OPTIONAL = [
    (extra, name_of(requirement))
    for extra, requirements in PROJECT["optional-dependencies"].items()
    for requirement in requirements
]
INSTALLED, EXTRAS = section("beside the package").split("The extras of Visavis add these:")


@pytest.mark.parametrize("name", REQUIRED)
def test_every_dependency_is_named_with_its_licence(name: str) -> None:
    named = re.search(rf"(?:^|  ){re.escape(name)} {{2,}}(\S+(?: \S+)*)", INSTALLED, re.M)
    assert named, name
    stated = metadata.metadata(name)["License-Expression"]
    assert stated is None or named[1] == stated


def test_no_other_package_is_named_as_a_dependency() -> None:
    assert sorted(re.findall(r"(?:^|  )([a-z][\w-]*) {2,}\S", INSTALLED, re.M)) == sorted(REQUIRED)


@pytest.mark.parametrize(("extra", "name"), OPTIONAL)
def test_every_package_of_an_extra_is_named_with_it(extra: str, name: str) -> None:
    assert re.search(rf"^  {extra} +{re.escape(name)} +\S", EXTRAS, re.M)
