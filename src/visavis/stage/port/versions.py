"""What an end of the port that speaks an older version does not know. Servers and machines of a fleet are updated one
after the other, so each version of the port is spoken beside the one before it (decision 82).

A new member of a message needs nothing here: an older end passes it over. A new message, command, result or event does:
`known_to` says what an older end gets in its place. What comes from an older end is read as it was meant: whoever reads
it asks for the version of the connection.

17: a range of versions in `Hello`; `TakeOver`.
18: `NotHere`; `program` in `Hello` and `Ready`.
"""

from __future__ import annotations

from visavis.errors import PerformerLost
from visavis.stage.port.messages import Answer, Message, NotHere, Refusal

TELLS_NOT_HERE = 18
"""From this version on a stage says `NotHere`. `PerformerLost` says before that it does not perform a session, too."""


def known_to(version: int, message: Message) -> Message:
    """Return what is sent in place of a message to an end that speaks this version."""
    if version < TELLS_NOT_HERE and isinstance(message, Answer) and isinstance(message.result, NotHere):
        lost = PerformerLost("The session does not run on this stage")
        return Refusal(number=message.number, code=lost.code, message=lost.message)
    return message
