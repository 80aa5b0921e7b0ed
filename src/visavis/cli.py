"""The command line, `visavis`. It parses and hands over; each command lives with its part.

Parts are imported when their command runs, so that `visavis --help` answers at once and a stage process never loads the
service.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visavis.errors import VisavisError
from visavis.refusals import translated_engine_errors

if TYPE_CHECKING:
    from visavis.engine.motion.mood import Mood

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Live avatars that anyone can host.",
    pretty_exceptions_enable=False,
)
keys = typer.Typer(no_args_is_help=True, help="Create, list and revoke API keys.")
bench = typer.Typer(no_args_is_help=True, help="Measure this machine: a table, or one JSON object with --json.")
app.add_typer(keys, name="keys")
app.add_typer(bench, name="bench")


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit()) or not (64 <= int(width) <= 1920 and 64 <= int(height) <= 1920):
        raise typer.BadParameter("a size is WIDTHxHEIGHT, each 64 to 1920, for example 512x512")
    if int(width) % 2 or int(height) % 2:
        raise typer.BadParameter("width and height must be even")
    return int(width), int(height)


def _mood(text: str) -> Mood:
    """Read `happy` or `happy=0.6`."""
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


Speech = Annotated[
    Path,
    typer.Option(exists=True, dir_okay=False, help="A recording or a pipe: WAV, FLAC, OGG, MP3, M4A, WebM, ..."),
]
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
        help="What is spoken when: start_s, end_s and phone on each line, separated by tabs.",
    ),
]
AlphabetOption = Annotated[Alphabet, typer.Option(help="How --phones writes them.")]
EmotionOption = Annotated[str, typer.Option(help="neutral, happy, sad, surprised or serious; happy=0.6 is a little.")]


def _film(path: Path) -> Path:
    """Refuse, before any work, a film that could not be written after it."""
    if not path.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}")
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder")
    return path


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
) -> None:
    """Run the whole server."""
    from visavis.server import serve as run

    run(host=host, port=port)


@app.command()
def stage(
    listen: Annotated[str, typer.Option(help="wss://HOST:PORT to listen at.")],
    token_file: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Holds the token of the servers.")],
    tls_cert: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Certificate chain, PEM.")],
    tls_key: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Its private key, PEM.")],
    cache: Annotated[Path, typer.Option(file_okay=False, help="Where avatar packs are kept.")] = Path("stage-cache"),
) -> None:
    """Perform sessions for servers on other machines. Their setting VISAVIS_STAGE_ADDRESSES names this stage."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from visavis.stage.command import run

    run(listen=listen, token_file=token_file, tls_cert=tls_cert, tls_key=tls_key, cache=cache)


@keys.command("create")
def keys_create(
    name: Annotated[str, typer.Option(help="What the key is for.")],
    test: Annotated[bool, typer.Option("--test", help="A test key: free sessions of at most 60 s.")] = False,
) -> None:
    """Create a key and print it, alone on its line. It is shown this once."""
    from visavis.accounts.command import create_key

    create_key(name=name, test=test)


@keys.command("list")
def keys_list() -> None:
    """List keys: id, name, the start of the key, when it was made and last used, and whether it still opens
    anything.
    """
    from visavis.accounts.command import list_keys

    list_keys()


@keys.command("revoke")
def keys_revoke(key_id: Annotated[str, typer.Argument(help="The key's id, as `visavis keys list` prints it.")]) -> None:
    """Revoke a key, at once."""
    from visavis.accounts.command import revoke_key

    revoke_key(key_id)


@app.command()
def render(
    avatar: Annotated[
        str, typer.Option(help="A photo, the id of an avatar of this server, or a portrait of the library: iris.")
    ],
    speech: Speech,
    out: Annotated[Path, typer.Option(callback=_film, help="The film to write (MP4).")],
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT in pixels.")] = "512x512",
    fps: Annotated[int, typer.Option(min=1, max=60, help="Frames a second.")] = 25,
    seed: Seed = 0,
    pcm_rate: PcmRate = None,
    phones: Phones = None,
    alphabet: AlphabetOption = Alphabet.ARPABET,
    emotion: EmotionOption = "neutral",
) -> None:
    """Render speech spoken by an avatar to a film, offline."""
    from visavis.offline import render_film

    width_px, height_px = _size(size)
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
        mood=_mood(emotion),
    )


@app.command()
def motion(
    speech: Speech,
    out: Annotated[Path, typer.Option(callback=_film, help="The file to write: .jsonl or .csv.")],
    fps: Annotated[int, typer.Option(min=1, max=100, help="Frames a second.")] = 60,
    seed: Seed = 0,
    pcm_rate: PcmRate = None,
    phones: Phones = None,
    alphabet: AlphabetOption = Alphabet.ARPABET,
    emotion: EmotionOption = "neutral",
) -> None:
    """Write the motion of speech as ARKit coefficients, for a head of your own."""
    from visavis.motion_file import write_motion

    frames = write_motion(
        speech=speech,
        out=out,
        fps=fps,
        seed=seed,
        pcm_rate_hz=pcm_rate,
        phones=phones,
        alphabet=alphabet.value,
        mood=_mood(emotion),
    )
    print(f"{out}: {frames} frames")


@app.command()
def inspect(
    avatar: Annotated[
        str, typer.Argument(help="A photo, the id of an avatar of this server, or a portrait of the library: iris.")
    ],
    out: Annotated[Path, typer.Option(callback=_film, help="The sheet to write (PNG or JPEG).")] = Path("sheet.png"),
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT in pixels at which the face is rendered.")] = "512x512",
    only: Annotated[
        str | None, typer.Option(help="One part of the sheet: visemes, expressions, lids, gaze, head.")
    ] = None,
) -> None:
    """Draw all that a face can do on one sheet: visemes, expressions, lids, gaze, turns of the head."""
    from visavis.inspect.sheet import write_sheet

    width_px, height_px = _size(size)
    write_sheet(avatar=avatar, out=out, width_px=width_px, height_px=height_px, only=only)
    print(f"{out}: the sheet of {avatar}")


@app.command()
def watch(
    whep: Annotated[str, typer.Option(help="The room's WHEP address.")],
    out: Annotated[Path, typer.Option(callback=_film, help="The film to write (MP4).")],
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to watch.")],
    token: Annotated[str, typer.Option(help="The room's token.")] = "",
) -> None:
    """Record a room as a viewer sees and hears it."""
    from visavis.rooms.watch import record_room

    record_room(whep_url=whep, token=token, out=out, seconds=seconds)


@bench.command("render")
def bench_render(json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """Frames a second on one core, render only."""
    from visavis.bench.render import run

    run(as_json=json)


@bench.command("pipeline")
def bench_pipeline(json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """Frames a second on one core, from speech to encoded video and sound."""
    from visavis.bench.pipeline import run

    run(as_json=json)


@bench.command("density")
def bench_density(
    first: Annotated[int, typer.Option(min=1, max=200, help="Sessions to begin with; then one more at a time.")] = 4,
    most: Annotated[int, typer.Option(min=1, max=200, help="Sessions to end with, late frames or not.")] = 30,
    stages: Annotated[int | None, typer.Option(min=1, help="Stage processes; by default one for each core.")] = None,
    talk: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the time that each speaks; below 1 in turns.")
    ] = 1.0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Live sessions at once without a late frame, each watched, and speaking all the time or a share of it."""
    from visavis.bench.density import run

    run(as_json=json, first=first, most=most, stages=stages, talk=talk)


@app.command("photo")
def photo_report(
    photo: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A photo of one person.")],
) -> None:
    """Say what a photo is like as an avatar: what is found, what is guessed, what would make a better one."""
    from visavis.photo import tell

    tell(photo)


@app.command()
def demo(
    once: Annotated[
        bool,
        typer.Option("--once", help="Unattended: perform, record, measure, and exit non-zero if anything was wrong."),
    ] = False,
    out: Annotated[Path, typer.Option(callback=_film, help="With --once: the film of what a viewer received.")] = Path(
        "demo.mp4"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
) -> None:
    """Start the server with its playground; or, with --once, perform a whole session and check it."""
    from visavis.demo import run

    run(once=once, out=out, port=port)


def main() -> None:
    """Run the command line; an error of ours is one line on stderr and exit status 1."""
    # The engine's matrices are small: BLAS threads cost twice the time they save. Read when numpy is first imported, so
    # it is set here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        with translated_engine_errors():
            app()
    except VisavisError as error:
        hint = f" {error.suggestion}." if error.suggestion else ""
        print(f"visavis: {error.message} [{error.code}]{hint}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
