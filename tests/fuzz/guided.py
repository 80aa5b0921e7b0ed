"""Fuzzing that is guided by coverage: `python -m tests.fuzz.guided PROPERTY [options of libFuzzer]`.

atheris (the dependency group `fuzz`) invents bytes, hypothesis makes an example of them, and the property judges it.
The properties are the tests of this folder; a run of `make fuzz` begins with what earlier ones found worth keeping, in
build/fuzz/PROPERTY.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import atheris

INSTRUMENTED = ["visavis.channel", "visavis.json_text", "visavis.base64_text", "visavis.output_json"]
INSTRUMENTED += ["visavis.engine.speech.phones", "visavis.engine.audio.headers", "visavis.stage.utterances"]
INSTRUMENTED += ["visavis.stage.utterance_media", "visavis.stage.performance"]
INSTRUMENTED += ["visavis.rooms.sdp", "visavis.rooms.embedded", "visavis.rooms.webrtc", "aiortc.rtp", "aioice.stun"]
PROPERTIES = {
    "conversation": ("tests.fuzz.test_protocol", "test_every_frame_of_a_conversation_has_its_answer"),
    "first_message": ("tests.fuzz.test_protocol", "test_a_first_message_is_refused_with_a_reason_or_opens"),
    "offer": ("tests.fuzz.test_offers", "test_an_offer_is_checked_or_refused_with_a_reason"),
    "candidates": ("tests.fuzz.test_offers", "test_candidates_are_read_or_refused_with_a_reason"),
    "check": ("tests.fuzz.test_datagrams", "test_whatever_comes_to_the_port_of_a_stage_is_read_or_dropped"),
    "report": ("tests.fuzz.test_datagrams", "test_whatever_a_viewer_reports_is_read_or_passed_over"),
    "speech": ("tests.fuzz.test_sound", "test_speech_of_any_form_is_played_once_and_leaves_nothing_behind"),
}


def main() -> None:
    name, options = sys.argv[1], sys.argv[2:]
    module, function = PROPERTIES[name]
    with atheris.instrument_imports(include=INSTRUMENTED):
        judge: Any = getattr(import_module(module), function).hypothesis.fuzz_one_input
    corpus = Path("build/fuzz") / name
    corpus.mkdir(parents=True, exist_ok=True)
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={corpus.parent}/{name}-", str(corpus)], judge)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
