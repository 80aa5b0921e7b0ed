"""Looks at this machine: the installation, its cores, clock, disk and UDP ports."""

from __future__ import annotations

import ctypes
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from visavis.doctor.finding import Finding, advise, good, problem
from visavis.engine.errors import NetworkFileBroken
from visavis.engine.portrait.networks.files import check_files
from visavis.engine.speech.weights_file import check_weights
from visavis.errors import VisavisError
from visavis.machine.control_groups import group_times
from visavis.machine.cores import cores, processes_for
from visavis.machine.network import taken_ports
from visavis.settings import Settings
from visavis.store.disk import disk_problem
from visavis.tls.pair import Pair, read_pair
from visavis.tls.renewal import WARN_DAYS

_MEBIBYTE = 1024 * 1024
_TIME_ERROR = 5  # of ntp_adjtime(3): the clock is not synchronised
_TIMEX_BYTES = 512  # larger than struct timex on any machine


def check_installation() -> Finding:
    """Whether the files of the networks, which read photos and hear speech, are whole."""
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    try:
        check_files()
        check_weights()
    except NetworkFileBroken as error:
        return problem("installation", error.message, "Install Visavis again (in a checkout: make setup)")
    return good("installation", f"{python}, all files are whole")


def check_cores(settings: Settings) -> Finding:
    """How many cores stages may use, and why."""
    found = settings.cores or cores()
    if settings.cores:
        source = "VISAVIS_CORES"
    elif any(group.quota_cores <= found for group in group_times()):
        source = "a quota of a control group"
    else:
        source = "the processors that this process may use"
    text = f"{found:g} ({source})"
    if found < 2:
        return advise("cores", text, "One core carries few sessions: give the machine, or its container, two")
    return good("cores", text)


def check_clock() -> Finding:
    """Whether the clock is kept right: credentials of TURN and S3 hold for a time."""
    if time.time() < Path(__file__).stat().st_mtime:
        return problem("clock", "it is earlier than this installation", "Set the clock")
    if sys.platform != "linux":
        return good("clock", time.strftime("%Y-%m-%d %H:%M:%S %Z"))
    return clock_finding(ctypes.CDLL(None).ntp_adjtime(ctypes.create_string_buffer(_TIMEX_BYTES)))


def clock_finding(state: int) -> Finding:
    """`state`: what ntp_adjtime(3) returns."""
    now = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    if state == _TIME_ERROR:
        return advise("clock", f"{now}, and no time server keeps it right", "Run systemd-timesyncd or chrony")
    return good("clock", now)


def check_data_folder(settings: Settings) -> Finding:
    """Whether the data folder takes files, and how many."""
    folder = settings.data_dir.absolute()
    existing = next(path for path in (folder, *folder.parents) if path.is_dir())
    if (found := disk_problem(existing, least_free_bytes=settings.min_free_disk_mb * _MEBIBYTE)) is not None:
        return problem("data folder", f"{folder}: {found}", "Make room, or set VISAVIS_DATA_DIR to another folder")
    free = shutil.disk_usage(existing).free // _MEBIBYTE
    made = "" if existing == folder else ", which the first start makes"
    return good("data folder", f"{folder}{made}: {free} MiB are free")


def check_certificate(settings: Settings) -> list[Finding]:
    """Whether the server can speak HTTPS with the files that it was given, and for how long. Nothing without files."""
    if settings.tls_cert is None or settings.tls_key is None:
        return []
    try:
        pair = read_pair(settings.tls_cert, settings.tls_key)
    except VisavisError as error:
        return [problem("certificate", error.message, error.suggestion or "Set VISAVIS_TLS_CERT and VISAVIS_TLS_KEY")]
    return [certificate_finding(pair, now=datetime.now(UTC))]


def certificate_finding(pair: Pair, *, now: datetime) -> Finding:
    text = f"for {', '.join(pair.names) or 'no name'}, valid until {pair.not_after:%Y-%m-%d}"
    renew = "Renew it: a running server takes the new files"
    if pair.days_left(now) < 0:
        return problem("certificate", text, renew)
    if pair.not_before > now:
        return problem("certificate", f"{text}, from {pair.not_before:%Y-%m-%d %H:%M} on", "Set the clock, or wait")
    if not pair.names:
        return problem("certificate", text, "Browsers take none without names: it needs a subjectAltName")
    return advise("certificate", text, renew) if pair.days_left(now) < WARN_DAYS else good("certificate", text)


def check_media_ports(settings: Settings) -> Finding:
    """Whether there are free UDP ports for the stages."""
    ports = settings.media_network.ports
    wanted = settings.stages or processes_for(settings.cores or cores())
    taken, free = taken_ports(ports, wanted=wanted)
    if free < wanted:
        return problem(
            "UDP ports",
            f"{ports} has {free} free, and {wanted} stages need one each; taken: {', '.join(map(str, taken))}",
            "End what uses them, or set VISAVIS_MEDIA_PORTS to others",
        )
    return good("UDP ports", f"{ports}; a firewall between here and the viewers has to let them through")
