"""What `.ci/run` measures is what coverage.py measures by tracing (tools/branch_coverage.py)."""

from __future__ import annotations

from pathlib import Path

import coverage
from coverage import CoverageData

from tools.branch_coverage import HITS, Fact, Probes, arcs

SAMPLE = '''\
"""A module with every statement that can branch."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from enum import Enum


class Colour(Enum):
    """Its body may have no names but its members."""

    RED = 1
    BLUE = 2


@dataclass(frozen=True)
class Pair:
    one: int
    two: int = 0


def conditions(number: int) -> str:
    if number == 1:
        return "one"
    elif number == 2:
        return "two"
    elif number == 3:
        word = "three"
    else:
        word = "many"
    if number == 3:
        word += "!"
    if (
        number == 4
        and word
    ):
        pass
    return word


def loops(count: int) -> int:
    total = 0
    for number in range(count):
        if number == 1:
            continue
        if number == 5:
            break
        total += number
    else:
        total += 100
    while total > 0:
        total -= 1
        if total == 1:
            break
    for _ in range(count):
        pass
    while True:
        total += 1
        if total > 3:
            return total


def never() -> None:
    for one in []:
        print(one)
    while False:
        print()
    if None:
        print()


def attempts(kind: str) -> str:
    try:
        if kind == "value":
            raise ValueError
        if kind == "key":
            raise KeyError
        if kind == "return":
            return kind
    except ValueError:
        kind = "a value"
    except (KeyError, TypeError):
        kind = "a key"
    except Exception:
        kind = "never"
    else:
        kind = "nothing"
    finally:
        kind += "."
    return kind


def groups() -> int:
    try:
        raise ExceptionGroup("two", [ValueError(), KeyError()])
    except* ValueError:
        found = 1
    except* OSError:
        found = 2
    except* KeyError:
        found = 3
    return found


def shapes(shape: object) -> str:
    match shape:
        case Pair(one=1):
            return "one"
        case Pair(one=2) if shape.two:
            found = "two and more"
        case "red" | "blue":
            found = "a colour"
        case [first, *_]:
            found = f"from {first}"
        case None:
            found = "never"
    match shape:
        case int():
            return "a number"
        case _:
            found = "something"
    return found


async def waits(count: int) -> int:
    async def numbers():
        for number in range(count):
            yield number

    async with contextlib.AsyncExitStack() as stack:
        stack.callback(lambda: None)
        if count == 2:
            return 0
    total = sum([number async for number in numbers() if number])
    async for number in numbers():
        total += number
    with contextlib.suppress(ValueError):
        if count:
            raise ValueError
    return total


conditions(1), conditions(3), conditions(5)
loops(3), loops(9)
never()
attempts("value"), attempts("return"), attempts("none")
groups()
for shape in (Pair(1), Pair(2), "red", 3):
    with contextlib.suppress(NameError):
        shapes(shape)
asyncio.run(waits(2)), asyncio.run(waits(3))
assert Pair.__doc__ and Colour.__doc__ and [one.name for one in Colour] == ["RED", "BLUE"]
'''


def found(measured: coverage.Coverage, path: Path) -> tuple[list[int], list[int], dict[int, tuple[int, int]]]:
    """Return the statements, those of them that did not run, and of each branch how many ways there are and ran."""
    _, statements, _, missing, _ = measured.analysis2(str(path))
    return statements, missing, measured.branch_stats(str(path))


def test_probes_find_what_tracing_finds(tmp_path: Path) -> None:
    path = tmp_path / "sample.py"
    path.write_text(SAMPLE)

    tracing = coverage.Coverage(data_file=None, branch=True, include=[str(path)], config_file=False)
    with tracing.collect():
        exec(compile(SAMPLE, path, "exec", dont_inherit=True), {"__name__": __name__})

    probes = Probes(first=7)
    code = probes.compiled(SAMPLE.encode(), str(path))
    hits = bytearray(7 + len(probes.facts))
    exec(code, {"__name__": __name__, HITS: hits})
    told = [Fact(*fact) for facts, hit in zip(probes.facts, hits[7:], strict=True) if hit for fact in facts]
    data = CoverageData(str(tmp_path / "data"))
    data.add_arcs({str(path): arcs(str(path), told)})
    probed = coverage.Coverage(data_file=str(tmp_path / "data"), config_file=False)
    probed.load()

    statements, missing, branches = found(tracing, path)
    assert len(missing) > 5 and len(branches) > 20, "the sample leaves something out"
    assert found(probed, path) == (statements, missing, branches)
