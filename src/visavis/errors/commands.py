"""Errors that only a command prints."""

from __future__ import annotations

from visavis.errors.root import COMMAND, VisavisError


class CommandFailed(VisavisError, told_over=COMMAND):
    """A command cannot do what it was asked to do."""


class SettingInvalid(CommandFailed, code="SETTING_INVALID"):
    """A setting (`VISAVIS_…`) has an invalid value."""


class DataFolderUnusable(CommandFailed, code="DATA_FOLDER_UNUSABLE"):
    """The data folder cannot be made, read or written."""


class DataFolderInUse(CommandFailed, code="DATA_FOLDER_IN_USE"):
    """Another server uses the data folder or the database."""


class InstallationDamaged(CommandFailed, code="INSTALLATION_DAMAGED"):
    """A file of the installation is missing or another one; the message names it."""


class HandoverImpossible(CommandFailed, code="HANDOVER_IMPOSSIBLE"):
    """A server cannot take over the sessions of the one that runs."""


class DatabaseUnusable(CommandFailed, code="DATABASE_UNUSABLE"):
    """There is no database, it cannot be opened, or it is none of this version of Visavis."""


class FileUnusable(CommandFailed, code="FILE_UNUSABLE"):
    """A command cannot read or write a file; the message names the file and the reason."""


class AddressUnavailable(CommandFailed, code="ADDRESS_UNAVAILABLE"):
    """The server cannot listen on its address."""


class ServerNotStarted(CommandFailed, code="SERVER_NOT_STARTED"):
    """The server stopped before it was up."""


class ListeningFailed(CommandFailed, code="LISTENING_FAILED"):
    """`visavis webhooks listen` cannot get events from the server."""


class DemoFailed(CommandFailed, code="DEMO_FAILED"):
    """The demo's performance was not what it must be; the message says what was missing."""


class ContractBroken(CommandFailed, code="CONTRACT_BROKEN"):
    """An answer is not what the reference says; the message names the place."""


class ServerBroken(CommandFailed, code="SERVER_BROKEN"):
    """A part of the server failed that all sessions depend on; it has ended them and stopped."""


class ServerFailed(CommandFailed, code="SERVER_FAILED"):
    """The demo's server did not start, or stopped by itself; the message ends with what it last said."""
