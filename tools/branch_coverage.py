"""Measures which lines and branches of our modules run, in every process that has `scripts/coverage` on its PYTHONPATH.

    python -m tools.branch_coverage prepare    before the tests: compiles our modules with probes
    python -m tools.branch_coverage collect    after them: writes what ran as data of coverage.py, for `coverage report`

A probe is an assignment that puts 1 into its own byte of a file, which all processes have in their memory. So what a
process did counts however it ends, and nothing is traced: the code of libraries runs as fast as ever. What there is to
measure, and where a branch can lead, coverage.py tells (`coverage.parser`); tests/test_branch_coverage.py compares the
two.
"""

from __future__ import annotations

import ast
import json
import marshal
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import CodeType
from typing import Literal, NamedTuple

from coverage import CoverageData
from coverage.parser import PythonParser

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "coverage"
SOURCES = ("src/visavis", "integrations/client/src/visavis_client")
HITS = "__visavis_hits__"  # a builtin, whose bytes are the probes'

Arc = tuple[int, int]


class Fact(NamedTuple):
    """What is known when a probe is hit: that a line ran, or that the condition, loop or pattern on it went on inside
    of its block, which reaches to the line `end`, or past it.
    """

    what: Literal["ran", "inside", "past"]
    line: int
    end: int = 0


class Probes:
    """Puts probes into a module. `first`: the number of the first one. `facts`: what each of them tells."""

    def __init__(self, first: int = 0) -> None:
        self._first = first
        self.facts: list[list[Fact]] = []

    def compiled(self, source: bytes, path: str) -> CodeType:
        module = ast.parse(source, path)
        module.body = self._block(module.body)
        return compile(module, path, "exec", dont_inherit=True)

    def _number(self, facts: Iterable[Fact]) -> ast.Constant:
        self.facts.append(list(facts))
        return ast.Constant(self._first + len(self.facts) - 1)

    def _probe(self, facts: Iterable[Fact], beside: ast.stmt) -> ast.stmt:
        place = ast.Subscript(ast.Name(HITS, ast.Load()), self._number(facts), ast.Store())
        return ast.fix_missing_locations(ast.copy_location(ast.Assign([place], ast.Constant(1)), beside))

    def _block(self, statements: Sequence[ast.stmt], *entered: Fact) -> list[ast.stmt]:
        """Return the statements with a probe before each of them. `entered`: what is known when the block begins."""
        facts, probed = list(entered), list[ast.stmt]()
        for statement in statements:
            decorated = getattr(statement, "decorator_list", [])
            facts += [Fact("ran", node.lineno) for node in (*decorated, statement)]
            if not _stays_first(statement):
                probed.append(self._probe(facts, statement))
                facts = []
            self._inside(statement)
            probed.append(statement)
        return probed

    def _inside(self, statement: ast.stmt) -> None:
        """Put probes into the blocks of a statement."""
        match statement:
            case ast.If() | ast.While() | ast.For() | ast.AsyncFor():
                line, end = statement.lineno, statement.body[-1].end_lineno or 0
                past = Fact("past", line, end)
                statement.body = self._block(statement.body, Fact("inside", line, end))
                if statement.orelse:
                    statement.orelse = self._block(statement.orelse, past)
                else:
                    statement.orelse = [self._probe([past], statement)]
            case ast.Match():
                self._cases(statement)
            case ast.Try() | ast.TryStar():
                for handler in statement.handlers:
                    handler.body = self._block(handler.body, Fact("ran", handler.lineno))
                    if handler.type is not None:
                        handler.type = self._probed(handler.type, [Fact("ran", handler.lineno)])
                statement.body, statement.orelse = self._block(statement.body), self._block(statement.orelse)
                statement.finalbody = self._block(statement.finalbody)
            case ast.With() | ast.AsyncWith() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                statement.body = self._block(statement.body)

    def _cases(self, statement: ast.Match) -> None:
        """A case whose block is entered tells that the cases before it did not match."""
        missed = list[Fact]()
        for case in statement.cases:
            line, end = case.pattern.lineno, case.body[-1].end_lineno or 0
            missed.append(Fact("ran", line))
            case.body = self._block(case.body, *missed, Fact("inside", line, end))
            missed.append(Fact("past", line, end))
        last = statement.cases[-1]
        if not _matches_always(last):
            statement.cases.append(ast.match_case(ast.MatchAs(None, None), None, [self._probe(missed, statement)]))
            ast.fix_missing_locations(ast.copy_location(statement.cases[-1].pattern, last.pattern))

    def _probed(self, expression: ast.expr, facts: Iterable[Fact]) -> ast.expr:
        """Return an expression with a probe before it."""
        hit = ast.Call(
            ast.Attribute(ast.Name(HITS, ast.Load()), "__setitem__", ast.Load()),
            [self._number(facts), ast.Constant(1)],
            [],
        )
        both = ast.Subscript(ast.Tuple([hit, expression], ast.Load()), ast.Constant(1), ast.Load())
        return ast.fix_missing_locations(ast.copy_location(both, expression))


def _stays_first(statement: ast.stmt) -> bool:
    """A docstring, or an import from the future: neither may have a statement before it."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return isinstance(statement.value.value, str)
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


def _matches_always(case: ast.match_case) -> bool:
    pattern: ast.pattern | None = case.pattern
    while isinstance(pattern, ast.MatchOr):
        pattern = pattern.patterns[-1]
    while isinstance(pattern, ast.MatchAs) and pattern.pattern is not None:
        pattern = pattern.pattern
    return case.guard is None and isinstance(pattern, ast.MatchAs)


def arcs(path: str, facts: Iterable[Fact]) -> set[Arc]:
    """Return what ran as coverage.py has it: pairs of lines that came one after the other, or twice the same line."""
    parser = PythonParser(filename=path)
    parser.parse_source()
    targets = defaultdict[int, set[int]](set)
    for line, target in parser.arcs():
        targets[line].add(target)
    found = set[Arc]()
    for what, raw_line, end in facts:
        line = parser.first_line(raw_line)
        if what == "ran":
            found.add((line, line))
        else:
            found |= {(line, to) for to in targets[line] if (line < to <= end) == (what == "inside")}
    return found


def sources() -> Iterator[Path]:
    """Yield the modules of our packages, as coverage.py takes them: without the migrations, which are in none."""
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.with_name("__init__.py").exists():
                yield path


def prepare() -> None:
    """Compile our modules with probes. Takes some seconds."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    compiled = FOLDER / str(sys.implementation.cache_tag)
    files, first = {}, 0
    for path in sources():
        probes = Probes(first)
        code = probes.compiled(path.read_bytes(), str(path))
        name = path.relative_to(ROOT)
        to = compiled / f"{name}.code"
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(marshal.dumps(code))
        files[str(name)] = probes.facts
        first += len(probes.facts)
    (FOLDER / "facts.json").write_text(json.dumps(files))
    (FOLDER / "hits").write_bytes(bytes(first))


def collect() -> None:
    files = json.loads((FOLDER / "facts.json").read_text())
    hits = memoryview((FOLDER / "hits").read_bytes())
    data = CoverageData(str(FOLDER / "data"))
    data.erase()
    for name, probes in files.items():
        path = str(ROOT / name)
        told = {Fact(*fact) for facts, hit in zip(probes, hits, strict=False) if hit for fact in facts}
        hits = hits[len(probes) :]
        data.add_arcs({path: arcs(path, told)})
        data.touch_file(path)


if __name__ == "__main__":
    {"prepare": prepare, "collect": collect}[sys.argv[1]]()
