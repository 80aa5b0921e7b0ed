"""Every error code is declared in the tree of errors, used in the source, described in docs/reference, and shown by a
golden transcript or a test. Each test here fails if one of these places lacks a code that another has.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from tests.contract import reference
from tests.contract.rest_transcript import REST_TRANSCRIPTS, RestTranscript
from tests.contract.transcript import TRANSCRIPTS, Transcript
from visavis.errors import (
    CHANNEL,
    COMMAND,
    HTTP,
    LOG,
    CloseCode,
    Gone,
    RateLimited,
    ToldOver,
    VisavisError,
    declared_errors,
)
from visavis.sessions.lifecycle import EndReason

ROOT = Path(__file__).parents[2]
DECLARED = declared_errors()

# Codes that no transcript can show, and the tests that show them. The tests name the code or its class.
_COMMANDS, _SERVERS, _STAGES = (
    "tests/contract/test_command_codes.py",
    "tests/stage/test_servers.py",
    "tests/fleet/test_remote_stages.py",
)
SHOWN_BY_TESTS: dict[tuple[ToldOver, str], str] = {
    (CHANNEL, "UPDATE_PENDING"): "tests/channel/test_protocol.py",
    (CHANNEL, "TOKEN_EXPIRED"): "tests/api/test_browser_tokens.py",
    (CHANNEL, "ORIGIN_REFUSED"): "tests/api/test_browser_tokens.py",
    (COMMAND, "VOICE_FAILED"): "tests/voice/test_render_text.py",
    (COMMAND, "VOICE_TIMED_OUT"): "tests/voice/test_render_text.py",
    (COMMAND, "VOICE_BUSY"): "tests/voice/test_render_text.py",
    (COMMAND, "AUDIO_UNREADABLE"): _COMMANDS,
    (COMMAND, "SETTING_INVALID"): _COMMANDS,
    (COMMAND, "DATA_FOLDER_UNUSABLE"): _COMMANDS,
    (COMMAND, "DATA_FOLDER_IN_USE"): "tests/test_server.py",
    (COMMAND, "INSTALLATION_DAMAGED"): "tests/test_server.py",
    (COMMAND, "HANDOVER_IMPOSSIBLE"): "tests/fleet/test_roster.py",
    (COMMAND, "DATABASE_UNUSABLE"): "tests/store/test_file_system.py",
    (COMMAND, "FILE_UNUSABLE"): "tests/test_disks.py",
    (COMMAND, "STORAGE_UNUSABLE"): "tests/store/test_failures.py",
    (COMMAND, "ADDRESS_UNAVAILABLE"): "tests/test_server.py",
    (COMMAND, "SERVER_NOT_STARTED"): _COMMANDS,
    (COMMAND, "ACCOUNT_NOT_FOUND"): "tests/accounts/test_accounts.py",
    (COMMAND, "KEY_NOT_FOUND"): _COMMANDS,
    (COMMAND, "PLAN_NOT_FOUND"): "tests/accounts/test_plan_commands.py",
    (COMMAND, "KEY_NOT_ACTIVE"): "tests/accounts/test_key_limits.py",
    (COMMAND, "LISTENING_FAILED"): "tests/webhooks/test_listen.py",
    (COMMAND, "DEMO_FAILED"): "tests/e2e/test_demo.py",
    (COMMAND, "CONTRACT_BROKEN"): _COMMANDS,
    (COMMAND, "SERVER_BROKEN"): "tests/faults/test_vital_tasks.py",
    (COMMAND, "SERVER_FAILED"): _COMMANDS,
    (LOG, "STAGE_UNREACHABLE"): _STAGES,
    (LOG, "STAGE_REJECTED"): _STAGES,
    (LOG, "NOT_A_HELLO"): _SERVERS,
    (LOG, "WRONG_STAGE_TOKEN"): _SERVERS,
    (LOG, "STAGE_NOT_ADMITTED"): "tests/store/test_stage_rows.py",
    (LOG, "PORT_VERSION_UNKNOWN"): _SERVERS,
    (LOG, "SOURCE_UNUSABLE"): _SERVERS,
    (LOG, "SERVER_REPLACED"): _SERVERS,
    (LOG, "LINK_BROKEN"): _SERVERS,
    (LOG, "STALE_OWNER"): _SERVERS,
}


@cache
def names_in_source() -> frozenset[str]:
    """Every name that src uses outside the tree of errors and the descriptions of operations."""
    used: set[str] = set()
    package = ROOT / "src" / "visavis"
    for path in package.rglob("*.py"):
        if path.parent not in (package / "errors", package / "api" / "described"):
            nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            for node in nodes:
                if isinstance(node, ast.Name | ast.Attribute):
                    used.add(node.id if isinstance(node, ast.Name) else node.attr)
    return frozenset(used)


@cache
def shown_over(told: ToldOver) -> frozenset[str]:
    """The codes that the transcripts of REST or of the channel show, and those of SHOWN_BY_TESTS."""
    shown = {code for where, code in SHOWN_BY_TESTS if where is told}
    if told is HTTP:
        for path in REST_TRANSCRIPTS:
            transcript = RestTranscript.read(path)
            shown |= {code for code, _, _ in transcript.errors()}
            bodies = [step.get("json") for step in transcript.steps if "answer" in step]
            if {"success": False, "error": RateLimited.message} in bodies:
                shown.add(RateLimited.code)
    if told is CHANNEL:
        for path in TRANSCRIPTS:
            messages = [step["server"] for step in Transcript.read(path).steps if "server" in step]
            shown |= {message["code"] for message in messages if message["type"] == "error"}
    return frozenset(shown)


def told_over(told: ToldOver) -> set[str]:
    return {code for code, kind in DECLARED.items() if told in kind.told_over}


def test_every_declared_error_is_raised_somewhere() -> None:
    unused = {kind.__name__ for kind in (*DECLARED.values(), Gone)} - names_in_source()
    assert unused == set()


def test_the_source_contains_no_code_as_a_string() -> None:
    """A raise names a class. A string could be a code that nobody has declared."""
    for path in (ROOT / "src" / "visavis").rglob("*.py"):
        if path.name != "errors.py" and path.parent.name != "errors":
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant):
                    assert node.value.value not in DECLARED, (path, node.value.value)


def test_the_reference_describes_exactly_the_declared_codes() -> None:
    described = [row.code for row in reference.code_rows()]
    assert len(described) == len(set(described))
    assert set(described) == set(DECLARED)


def test_the_reference_has_the_status_close_code_and_retryability_of_each_code() -> None:
    for row in reference.code_rows():
        kind: type[VisavisError] = DECLARED[row.code]
        statuses = [kind.status, *(child.status for child in kind.__subclasses__() if child.code == kind.code)]
        http = ", ".join(map(str, dict.fromkeys(statuses))) if HTTP in kind.told_over else ""
        channel = "" if CHANNEL not in kind.told_over else "open" if kind.close_code is None else str(kind.close_code)
        assert (row.http, row.channel, row.again) == (http, channel, "yes" if kind.retryable else ""), row.code


def test_every_code_of_rest_is_shown_by_a_transcript() -> None:
    assert told_over(HTTP) == shown_over(HTTP)


def test_every_code_of_the_channel_is_shown_by_a_transcript() -> None:
    assert told_over(CHANNEL) == shown_over(CHANNEL)


def test_every_other_code_is_shown_by_a_test_that_names_it() -> None:
    assert told_over(COMMAND) == shown_over(COMMAND)
    assert told_over(LOG) == shown_over(LOG)
    for (_, code), place in SHOWN_BY_TESTS.items():
        text = (ROOT / place).read_text(encoding="utf-8")
        assert re.search(rf"\b(?:{code}|{DECLARED[code].__name__})\b", text), (place, code)


def test_transcripts_show_each_code_with_its_own_status() -> None:
    for path in REST_TRANSCRIPTS:
        for code, status, _ in RestTranscript.read(path).errors():
            assert status in (DECLARED[code].status, Gone.status if code == Gone.code else None), (path.name, code)


def test_close_codes_are_used_described_and_shown() -> None:
    described = {
        int(row[0]): row[1].strip("`") for row in reference.rows("errors", under="Close codes") if row[0].isdigit()
    }
    assert described == {code.value: code.name for code in CloseCode}
    raised = {kind.close_code for kind in DECLARED.values()}
    source = "".join(path.read_text() for path in (ROOT / "src/visavis/channel").glob("*.py"))
    assert all(code in raised or f"CloseCode.{code.name}" in source for code in CloseCode)
    closes = {step["close"] for path in TRANSCRIPTS for step in Transcript.read(path).steps if "close" in step}
    assert closes == {code.value for code in CloseCode}


def test_end_reasons_are_described() -> None:
    described = {row[0].strip("`") for row in reference.rows("errors", under="End reasons")} - {"reason"}
    assert described == {reason.value for reason in EndReason}


def test_published_texts_are_those_of_the_transcripts() -> None:
    texts = [row[0] for row in reference.rows("errors", under="Published texts")][1:]
    shown = "".join(path.read_text(encoding="utf-8") for path in (*REST_TRANSCRIPTS, *TRANSCRIPTS))
    for text in (part for cell in texts for part in re.findall(r"`([^`]+)`", cell)):
        assert f'"{text}"' in shown, text
