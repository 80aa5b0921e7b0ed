"""The command line, `visavis`. It parses arguments and calls the module that implements the command.

These modules are imported when their command runs, so that `visavis --help` is quick and a stage process does not load
the service.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from visavis import __version__
from visavis.accounts.cli import accounts, keys, plans, stage_tokens
from visavis.bench.load import Load
from visavis.errors import DISK_ERRORS, FileUnusable, VisavisError
from visavis.machine.labels import check_labels
from visavis.refusals import translated_engine_errors
from visavis.store.cli import database
from visavis.webhooks.cli import webhooks

if TYPE_CHECKING:
    from visavis.engine.motion.mood import Mood

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
bench = typer.Typer(no_args_is_help=True, help="Measure this machine: a table, or one JSON object with --json.")
app.add_typer(accounts, name="accounts")
app.add_typer(keys, name="keys")
app.add_typer(plans, name="plans")
app.add_typer(stage_tokens, name="stage-tokens")
app.add_typer(database, name="db")
app.add_typer(webhooks, name="webhooks")
app.add_typer(bench, name="bench")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"visavis {__version__}")
        raise typer.Exit


# What needs the engine alone. All else runs stages and sends packets, which Windows has no way to do as we do it.
ON_WINDOWS = ("render", "photo", "inspect", "motion")


@app.callback()
def _options(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Live avatars that anyone can host."""
    if sys.platform == "win32" and context.invoked_subcommand not in ON_WINDOWS:
        print(f"visavis: {context.invoked_subcommand} needs Linux or macOS; on Windows, run it in WSL", file=sys.stderr)
        raise typer.Exit(1)


def _parse_size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit()) or not (64 <= int(width) <= 1920 and 64 <= int(height) <= 1920):
        raise typer.BadParameter("a size is WIDTHxHEIGHT, each 64 to 1920, for example 512x512")
    if int(width) % 2 or int(height) % 2:
        raise typer.BadParameter("width and height must be even")
    return int(width), int(height)


def _parse_mood(text: str) -> Mood:
    """Parse `happy` or `happy=0.6`."""
    from visavis.engine.motion.mood import Mood

    name, _, weight = text.partition("=")
    try:
        return Mood.of(name, float(weight) if weight else 1.0)
    except ValueError as error:
        raise typer.BadParameter(f"{error}; write for example happy or happy=0.6") from None


class Alphabet(StrEnum):
    IPA = "ipa"
    ARPABET = "arpabet"
    SAPI = "sapi"


_SPEECH = typer.Option(exists=True, dir_okay=False, help="A recording or a pipe: WAV, FLAC, OGG, MP3, M4A, WebM, ...")
Speech = Annotated[Path, _SPEECH]
PcmRate = Annotated[
    int | None,
    typer.Option(
        min=1_000, max=384_000, help="--speech is raw PCM16 (little-endian, mono, no header) with this sample rate."
    ),
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same motion.")]
Phones = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="A file of timings: start_s, end_s and phone on each line, separated by tabs.",
    ),
]
AlphabetOption = Annotated[Alphabet, typer.Option(help="The alphabet of the phones in --phones.")]
EmotionOption = Annotated[
    str, typer.Option(help="neutral, happy, sad, surprised or serious; happy=0.6 is a weaker happy.")
]


class Stages(StrEnum):
    NONE = "none"


def _check_output_path(path: Path) -> Path:
    """Refuse a file that cannot be written, before any work is done for it."""
    if not path.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}")
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder")
    if not os.access(path.absolute().parent, os.W_OK):
        raise FileUnusable(f"{path} cannot be written: its folder is read-only or not yours")
    return path


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over", help="Take over from a server that runs on the same data folder, with all its sessions."
        ),
    ] = False,
    tls_cert: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="The certificate, PEM, to speak HTTPS with. A renewed one is taken."),
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(dir_okay=False, help="The certificate's private key, PEM.")] = None,
    stages: Annotated[
        Stages | None,
        typer.Option(help="none: sessions are performed on the machines whose `visavis stage` is in the PostgreSQL."),
    ] = None,
) -> None:
    """Run the server."""
    from visavis.server import serve as run

    fleet = None if stages is None else True
    run(host=host, port=port, take_over=take_over, tls_cert=tls_cert, tls_key=tls_key, fleet=fleet)


@app.command()
def certificate(
    host: Annotated[
        list[str] | None,
        typer.Option(help="A name or an address at which this machine is reached. May be given several times."),
    ] = None,
    out: Annotated[Path, typer.Option(file_okay=False, help="The folder of the files.")] = Path("tls"),
) -> None:
    """Make a certificate for HTTPS, signed by an authority of your own, which is made first. Again, it renews it."""
    from visavis.tls.command import run

    run(host or [], out)


@app.command()
def stage(
    listen: Annotated[str, typer.Option(help="The address to listen on, wss://HOST:PORT.")],
    token_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A file with the token that servers must send.")
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The certificate chain, PEM.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The certificate's private key, PEM.")
    ] = None,
    fleet_token_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A file with this machine's token of `visavis stage-tokens`."),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="With a fleet's token: the name or address by which servers reach this machine.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="With a fleet's token: NAME=VALUE of this machine. May be given several times."),
    ] = None,
    cache: Annotated[Path, typer.Option(file_okay=False, help="The folder for avatar packs.")] = Path("stage-cache"),
    log_json: Annotated[bool, typer.Option("--log-json", help="Log as lines of JSON.")] = False,
) -> None:
    """Run a stage that performs sessions for servers on other machines. Their setting VISAVIS_STAGE_ADDRESSES names
    this stage (--token-file, --tls-cert, --tls-key); or they find it in the PostgreSQL of VISAVIS_DATABASE_URL
    (--fleet-token-file).
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.umask(0o077)  # only this user may read the avatars in the cache
    if fleet_token_file is not None:
        if token_file or tls_cert or tls_key:
            raise typer.BadParameter("--fleet-token-file needs no other token and no certificate")
        from visavis.supervisor.command import run as supervise

        supervise(
            listen=listen,
            fleet_token_file=fleet_token_file,
            address=address,
            labels=_parse_labels(label or []),
            cache=cache,
            log_json=log_json,
        )
        return
    if token_file is None or tls_cert is None or tls_key is None:
        raise typer.BadParameter("give --fleet-token-file, or --token-file, --tls-cert and --tls-key")
    if address or label:
        raise typer.BadParameter("--address and --label belong to --fleet-token-file")
    from visavis.stage.command import run

    run(listen=listen, token_file=token_file, tls_cert=tls_cert, tls_key=tls_key, cache=cache, log_json=log_json)


def _parse_labels(texts: list[str]) -> dict[str, str]:
    labels = {}
    for text in texts:
        name, _, value = text.partition("=")
        labels[name] = value
        try:
            check_labels(labels)
        except ValueError as error:
            raise typer.BadParameter(f"--label {text}: write NAME=VALUE, for example region=eu; {error}") from None
    return labels


@app.command()
def render(
    avatar: Annotated[
        str, typer.Option(help="A photo, the id of an avatar of this server, or a portrait of the library (iris).")
    ],
    out: Annotated[Path, typer.Option(callback=_check_output_path, help="The film to write (MP4).")],
    speech: Annotated[Path | None, _SPEECH] = None,
    text: Annotated[
        str | None, typer.Option(help="What the avatar says, instead of --speech. VISAVIS_VOICE_URL synthesises it.")
    ] = None,
    voice: Annotated[str | None, typer.Option(help="The voice of --text.")] = None,
    language: Annotated[str | None, typer.Option(help="The language of --text, such as de.")] = None,
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT in pixels.")] = "512x512",
    fps: Annotated[int, typer.Option(min=1, max=60, help="Frames a second.")] = 25,
    seed: Seed = 0,
    pcm_rate: PcmRate = None,
    phones: Phones = None,
    alphabet: AlphabetOption = Alphabet.ARPABET,
    emotion: EmotionOption = "neutral",
) -> None:
    """Render a film of an avatar that speaks a recording, or a text. Works without a server."""
    if (speech is None) == (text is None):
        raise typer.BadParameter("give exactly one of --speech and --text")
    if text is not None and (phones is not None or pcm_rate is not None):
        raise typer.BadParameter("--phones and --pcm-rate belong to --speech")
    if text is None and (voice is not None or language is not None):
        raise typer.BadParameter("--voice and --language belong to --text")
    from visavis.offline import render_film, spoken_text

    (width_px, height_px), mood = _parse_size(size), _parse_mood(emotion)
    with ExitStack() as stack:
        if text is not None:
            speech = stack.enter_context(spoken_text(text, voice=voice, language=language))
        assert speech is not None
        render_film(
            avatar=avatar,
            speech=speech,
            out=out,
            width_px=width_px,
            height_px=height_px,
            fps=fps,
            seed=seed,
            pcm_rate_hz=pcm_rate,
            phones=phones,
            alphabet=alphabet.value,
            mood=mood,
        )


@app.command()
def motion(
    speech: Speech,
    out: Annotated[Path, typer.Option(callback=_check_output_path, help="The file to write: .jsonl or .csv.")],
    fps: Annotated[int, typer.Option(min=1, max=100, help="Frames a second.")] = 60,
    seed: Seed = 0,
    pcm_rate: PcmRate = None,
    phones: Phones = None,
    alphabet: AlphabetOption = Alphabet.ARPABET,
    emotion: EmotionOption = "neutral",
) -> None:
    """Write the motion of speech as ARKit coefficients, for a head that you draw yourself."""
    from visavis.motion_file import write_motion

    frames = write_motion(
        speech=speech,
        out=out,
        fps=fps,
        seed=seed,
        pcm_rate_hz=pcm_rate,
        phones=phones,
        alphabet=alphabet.value,
        mood=_parse_mood(emotion),
    )
    print(f"{out}: {frames} frames")


@app.command()
def inspect(
    avatar: Annotated[
        str, typer.Argument(help="A photo, the id of an avatar of this server, or a portrait of the library (iris).")
    ],
    out: Annotated[Path, typer.Option(callback=_check_output_path, help="The sheet to write (PNG or JPEG).")] = Path(
        "sheet.png"
    ),
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT in pixels at which the face is rendered.")] = "512x512",
    only: Annotated[
        str | None, typer.Option(help="Draw only one part of the sheet: visemes, expressions, lids, gaze or head.")
    ] = None,
) -> None:
    """Draw one sheet with everything that a face can do: visemes, expressions, lids, gaze, turns of the head."""
    from visavis.inspect.sheet import write_sheet

    width_px, height_px = _parse_size(size)
    write_sheet(avatar=avatar, out=out, width_px=width_px, height_px=height_px, only=only)
    print(f"{out}: the sheet of {avatar}")


@app.command()
def watch(
    whep: Annotated[str, typer.Option(help="The room's WHEP address.")],
    out: Annotated[Path, typer.Option(callback=_check_output_path, help="The film to write (MP4).")],
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to watch.")],
    token: Annotated[str, typer.Option(help="The room's token.")] = "",
) -> None:
    """Record a room as a viewer receives it."""
    from visavis.rooms.watch import record_room

    record_room(whep_url=whep, token=token, out=out, seconds=seconds)


@bench.command("render")
def bench_render(json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """Measure frames per second on one core, rendering only."""
    from visavis.bench.render import run

    run(as_json=json)


@bench.command("pipeline")
def bench_pipeline(json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """Measure frames per second on one core, from speech to encoded video and sound."""
    from visavis.bench.pipeline import run

    run(as_json=json)


@bench.command("density")
def bench_density(
    first: Annotated[int, typer.Option(min=1, max=200, help="The first number of sessions; then one more each.")] = 4,
    most: Annotated[
        int, typer.Option(min=1, max=200, help="The last number of sessions, even without late frames.")
    ] = 30,
    stages: Annotated[int | None, typer.Option(min=1, help="Stage processes. Default: one for each core.")] = None,
    talk: Annotated[
        float, typer.Option(min=0, max=1, help="The share of time that each session speaks; below 1 they take turns.")
    ] = 1.0,
    overload: Annotated[
        bool, typer.Option("--overload", help="Then measure 150 % and 200 % of what the machine carries.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure how many watched sessions run at once without a late frame."""
    from visavis.bench.density import run

    run(as_json=json, first=first, most=most, stages=stages, talk=talk, overload=overload)


LoadOption = Annotated[
    Load,
    typer.Option(help="Sessions that speak beside it: none, as many as the server admits, or up to twice as many."),
]


@bench.command("latency")
def bench_latency(
    phrases: Annotated[int, typer.Option(min=1, max=1000, help="How many phrases are spoken in each way.")] = 20,
    load: LoadOption = Load.ALONE,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure how long after speech was sent a frame shows it, and the lips move in a browser."""
    from visavis.bench.latency import run

    run(as_json=json, phrases=phrases, load=load)


@bench.command("startup")
def bench_startup(
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="How many sessions and photos.")] = 8,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure how long a server, a session and an avatar take to start."""
    from visavis.bench.startup import run

    run(as_json=json, rounds=rounds)


@bench.command("interrupt")
def bench_interrupt(
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="How many interrupts.")] = 30,
    load: LoadOption = Load.ALONE,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure how long after an interrupt it is confirmed, and a viewer hears nothing."""
    from visavis.bench.interrupt import run

    run(as_json=json, rounds=rounds, load=load)


@bench.command("soak")
def bench_soak(
    minutes: Annotated[float, typer.Option(min=0.1, help="How long.")] = 10.0,
    guests: Annotated[int, typer.Option(min=1, max=100, help="Sessions at a time beside the long one.")] = 2,
    virtual: Annotated[
        bool, typer.Option("--virtual", help="Simulate one session on a virtual clock: only offset and drift.")
    ] = False,
    rate: Annotated[
        int, typer.Option(min=8_000, max=48_000, help="The sample rate of its speech, with --virtual.")
    ] = 44_100,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure what changes while sessions run for long: offset, drift, memory, lost packets, late frames."""
    if virtual:
        from visavis.bench import virtual_soak

        virtual_soak.run(as_json=json, minutes=minutes, rate_hz=rate)
        return
    from visavis.bench.soak import run

    run(as_json=json, minutes=minutes, guests=guests)


@bench.command("viewers")
def bench_viewers(
    most: Annotated[
        int | None,
        typer.Option(min=2, max=1000, help="Viewers in the last step. Default: as many as this machine shall carry."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure what viewers of one session cost, and how many one core carries."""
    from visavis.bench.audience import run

    run(as_json=json, most=most)


@bench.command("api")
def bench_api(
    sqlite: Annotated[bool, typer.Option(help="Whether SQLite is measured.")] = True,
    postgresql: Annotated[
        str | None, typer.Option(help="The address of an empty PostgreSQL database, to measure that, too.")
    ] = None,
    sessions: Annotated[
        int, typer.Option(min=100, max=5_000_000, help="How many sessions the account has had before.")
    ] = 1_000_000,
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="How long each rate is measured.")] = 5.0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure how many calls a second a server answers, and how soon."""
    from visavis.bench.api import run

    run(as_json=json, sqlite=sqlite, postgresql=postgresql, sessions=sessions, seconds=seconds)


@bench.command("fleet")
def bench_fleet(
    postgresql: Annotated[str, typer.Option(help="The address of an empty PostgreSQL database.")],
    servers: Annotated[int, typer.Option(min=2, max=100, help="How many servers there are.")] = 10,
    stages: Annotated[int, typer.Option(min=2, max=20_000, help="How many stages renew their leases.")] = 1_000,
    sessions: Annotated[int, typer.Option(min=20, max=1_000_000, help="How many sessions run at a time.")] = 10_000,
    seconds: Annotated[float, typer.Option(min=0.5, max=600, help="How long each rate is measured.")] = 20.0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure how large a fleet of machines one PostgreSQL carries: leases, places, take-overs. Without media."""
    from visavis.bench.fleet import run

    run(json, url=postgresql, servers=servers, stages=stages, sessions=sessions, seconds=seconds)


@bench.command("remote")
def bench_remote(
    postgresql: Annotated[str, typer.Option(help="The address of an empty PostgreSQL database.")],
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="How many interrupts of each kind.")] = 40,
    sessions: Annotated[int, typer.Option(min=1, max=100, help="How many sessions speak at a time.")] = 2,
    turns: Annotated[int, typer.Option(min=1, max=100, help="How many windows of each kind.")] = 6,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure what a stage on another machine and a relay between servers cost, in pairs with a server alone."""
    from visavis.bench.remote import run

    run(json, postgresql=postgresql, rounds=rounds, sessions=sessions, turns=turns)


@app.command("photo")
def photo_report(
    photo: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A photo of one person.")],
) -> None:
    """Report how suitable a photo is for an avatar: what was found, what was guessed, and what would be better."""
    from visavis.photo import print_report

    print_report(photo)


@app.command()
def doctor(
    host: Annotated[str, typer.Option(help="The address that the server listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Its port.")] = 8000,
) -> None:
    """Look at what a server needs here: ports, UDP, TURN, database, clock, disk. One line of advice for each."""
    from visavis.doctor import run

    run(host=host, port=port)


@app.command()
def demo(
    once: Annotated[
        bool,
        typer.Option("--once", help="Unattended: perform, record and measure; exit non-zero if anything is wrong."),
    ] = False,
    out: Annotated[Path, typer.Option(help="With --once: the film of what a viewer received.")] = Path("demo.mp4"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
) -> None:
    """Start the server with its playground. With --once, perform a whole session and check it instead."""
    from visavis.demo import run

    if once:
        _check_output_path(out)
    run(once=once, out=out, port=port)


def main() -> None:
    """Run the command line. A `VisavisError`, and an error of the operating system, is one line on stderr and exit
    status 1.
    """
    # The engine's matrices are small: BLAS threads cost twice the time they save. Numpy reads this when it is first
    # imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        try:
            with translated_engine_errors():
                app()
        finally:
            _flush_output()
    except VisavisError as error:
        _fail(error)
    except BrokenPipeError:  # whoever reads the output, `head` for instance, wants no more of it
        raise SystemExit(1) from None
    except OSError as error:
        _fail(FileUnusable(_describe(error)))


def _describe(error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.filename is not None:
        return f"{error.filename}: {reason}"
    return f"The output cannot be written: {reason}" if error.errno in DISK_ERRORS else reason


def _flush_output() -> None:
    """Write what was printed. Raises OSError, and then nothing of it is tried again when the process ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _fail(error: VisavisError) -> NoReturn:
    hint = f" {error.suggestion}." if error.suggestion else ""
    print(f"visavis: {error.message} [{error.code}]{hint}", file=sys.stderr)
    raise SystemExit(1) from None


if __name__ == "__main__":
    main()
