"""Carries out what an agent asks for in the room of its session: `visavis.output` changes what the avatar shows."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from visavis.engine.output import Output
from visavis.errors import InvalidJson, VisavisError
from visavis.json_text import FORM_FIELD_BOUNDS, JsonRefused, read_json
from visavis.output_json import OutputChange, read_output, write_output
from visavis.stage.port.events import RoomCalled
from visavis.stage.port.messages import AnswerCall

OUTPUT = "visavis.output"


async def carry_out(call: RoomCalled, update: Callable[[OutputChange], Awaitable[Output]]) -> AnswerCall:
    """Return the answer to a call: the JSON of the output as it is then, or the error."""
    assert call.method == OUTPUT, call.method
    try:
        output = await update(read_output(_read(call.payload)))
    except VisavisError as error:
        hint = f". {error.suggestion}" if error.suggestion else ""
        return AnswerCall(call_id=call.call_id, code=error.code, problem=error.message + hint)
    return AnswerCall(call_id=call.call_id, payload=json.dumps(write_output(output)))


def _read(payload: str) -> object:
    try:
        return read_json(payload, FORM_FIELD_BOUNDS)
    except JsonRefused as refused:
        raise InvalidJson(f"The payload {refused}") from None
