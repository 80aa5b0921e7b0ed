"""Errors between a server and a stage."""

from __future__ import annotations

from visavis.errors.root import LOG, VisavisError


class LinkFailed(VisavisError, told_over=LOG):
    """A server and a stage cannot work together, or no longer."""


class StageUnreachable(LinkFailed, code="STAGE_UNREACHABLE"):
    """No connection to the stage can be made."""


class StageRejected(LinkFailed, code="STAGE_REJECTED"):
    """The stage does not admit this server, or does not answer as a stage does."""


class NotAHello(LinkFailed, code="NOT_A_HELLO"):
    """The first message of a server is missing or is something else."""


class WrongStageToken(LinkFailed, code="WRONG_STAGE_TOKEN"):
    """The server does not have the stage's token."""


class StageNotAdmitted(LinkFailed, code="STAGE_NOT_ADMITTED"):
    """The database does not admit a stage: its token is wrong or revoked, or its role may not enter it."""


class PortVersionUnknown(LinkFailed, code="PORT_VERSION_UNKNOWN"):
    """The server speaks a version of the port that the stage does not know."""


class ServerReplaced(LinkFailed, code="SERVER_REPLACED"):
    """The server has connected a second time: its first connection is dropped."""


class SourceUnusable(LinkFailed, code="SOURCE_UNUSABLE"):
    """The stage cannot get packs from where the server says."""


class LinkBroken(LinkFailed, code="LINK_BROKEN"):
    """The connection is over, or the other end does not keep to the protocol."""


class StaleOwner(LinkFailed, code="STALE_OWNER"):
    """Another server owns the session by now."""
