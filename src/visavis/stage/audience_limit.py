"""How many viewers a room takes: those that its stage can serve. Pure."""

from __future__ import annotations

import msgspec

from visavis.errors import RoomFull
from visavis.stage.port.report import FrameCosts, SessionShape

FREE_VIEWERS = 50  # of each room: they are taken whatever they cost, like the first session of a machine
SHARE = 0.85  # of the core that a stage uses, as much as admission fills (fleet/admission.py)


def check_audience(session_id: str, shapes: dict[str, SessionShape], costs: FrameCosts) -> None:
    """Raise `RoomFull` if the stage cannot serve one more viewer of a session. `shapes`: of all its sessions. Each is
    counted as if it spoke all the time.
    """
    own = shapes[session_id]
    if own.viewers < FREE_VIEWERS:
        return
    with_one_more = shapes | {session_id: msgspec.structs.replace(own, viewers=own.viewers + 1)}
    if sum(costs.session_cores(shape) for shape in with_one_more.values()) > SHARE:
        raise RoomFull(
            f"The room is full: {own.viewers} viewers watch, and its stage can serve no more",
            suggestion="Try again when one has left. A larger audience needs an SFU",
        )
