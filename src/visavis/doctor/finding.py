"""What the doctor finds: a subject, what it saw, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """ADVICE: it works, for some or for now. PROBLEM: the server does not start, or viewers do not reach it."""

    GOOD = "good"
    ADVICE = "advice"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`advice`: what to do; empty if all is good."""

    subject: str
    verdict: Verdict
    text: str
    advice: str = ""


def good(subject: str, text: str) -> Finding:
    return Finding(subject=subject, verdict=Verdict.GOOD, text=text)


def advise(subject: str, text: str, advice: str) -> Finding:
    return Finding(subject=subject, verdict=Verdict.ADVICE, text=text, advice=advice)


def problem(subject: str, text: str, advice: str) -> Finding:
    return Finding(subject=subject, verdict=Verdict.PROBLEM, text=text, advice=advice)


def line_of(finding: Finding) -> str:
    """Return the line to print."""
    line = f"{finding.verdict:<8} {finding.subject}: {finding.text}"
    return f"{line}. {finding.advice}" if finding.advice else line
