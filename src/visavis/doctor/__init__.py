"""`visavis doctor`: looks at what a server needs on this machine and beyond, and says in one line each what to change.

It reads the settings of `visavis serve`. It changes nothing: no database is made or migrated.
"""

from __future__ import annotations

from visavis import signals
from visavis.doctor.finding import Finding, Verdict, line_of
from visavis.settings import read_settings


def run(*, host: str, port: int) -> None:
    """Print a line for each finding. Exit status 1 if something keeps the server or its viewers from working."""
    from visavis.doctor import machine, services

    settings = read_settings()

    async def look() -> list[Finding]:
        found = [
            machine.check_installation(),
            machine.check_cores(settings),
            machine.check_clock(),
            machine.check_data_folder(settings),
            await services.check_database(settings),
            await services.check_port(host, port, secure=settings.tls_cert is not None),
            *machine.check_certificate(settings),
        ]
        if not settings.stage_addresses and not settings.fleet:  # else media goes in and out on other machines
            found += [machine.check_media_ports(settings), await services.check_addresses(settings)]
        return [*found, *await services.check_ice_servers(settings)]

    findings = signals.run(look())
    for finding in findings:
        print(line_of(finding))
    if any(finding.verdict is Verdict.PROBLEM for finding in findings):
        raise SystemExit(1)
