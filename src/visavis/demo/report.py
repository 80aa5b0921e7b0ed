"""Prints the findings of a run as a table."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from visavis.demo.findings import Findings


def print_findings(findings: Findings, out: Path) -> None:
    """Print the table and the path of the film on stdout."""
    table = Table(title="One session, as its viewer saw and heard it", title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_row("start → first picture", _ms(findings.start_to_first_picture_s))
    table.add_row("speech sent → first sound of it", _ms(findings.speech_to_sound_s))
    table.add_row("speech sent → first lip movement of it", _ms(findings.speech_to_lips_s))
    table.add_row("A/V offset (+: lips after sound)", f"{round(findings.av_offset_s * 1000):+d} ms")
    table.add_row("interrupt → confirmed", _ms(findings.interrupt_to_confirmed_s))
    table.add_row("interrupt → silence", _ms(findings.interrupt_to_silence_s))
    table.add_row("interrupt → mouth at rest", _ms(findings.interrupt_to_rest_s))
    width_px, height_px = findings.size_px
    table.add_row(f"pictures at {width_px}x{height_px}", f"{findings.pictures}, {findings.fps:.1f} fps")
    frozen = f", longest {max(findings.freezes_s) * 1000:.0f} ms" if findings.freezes_s else ""
    table.add_row("freezes", f"{len(findings.freezes_s)}{frozen}")
    table.add_row("sound like the speech sent", f"{findings.sound_likeness:.2f} of 1")
    table.add_row("lips like the speech's motion", f"{findings.lips_likeness:.2f} of 1")
    table.add_row("mouth moved, speaking / resting", f"{findings.mouth_moved:.1f} times")
    console = Console()
    console.print(table)
    console.print(f"What the viewer received: {out}", soft_wrap=True, highlight=False)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
