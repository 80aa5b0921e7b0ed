"""What comes with Visavis to begin with: default portraits and voice clips, all of our own making (PROVENANCE.md says how)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryPortrait:
    """One portrait of the library. Nobody's photo: the people are drawn by `tools/portraits`."""

    slug: str
    name: str
    path: Path  # a JPEG, frontal, upright, one face
    look: str  # name of the look that is made from it
    description: str  # for a person choosing by words alone
    is_default: bool = False


PORTRAITS: tuple[LibraryPortrait, ...] = (
    LibraryPortrait(
        slug="iris",
        name="Iris",
        path=_FOLDER / "portraits" / "iris.jpg",
        look="Studio",
        description="A woman of about thirty with brown shoulder-length hair and a dark teal pullover, in front of an even grey studio wall.",
        is_default=True,
    ),
)
DEFAULT_PORTRAIT: LibraryPortrait = next(portrait for portrait in PORTRAITS if portrait.is_default)

GREETING: Path = _FOLDER / "voices" / "greeting.wav"  # Iris greets; mono PCM16 at 16 kHz, about 4 s
SAMPLE: Path = _FOLDER / "voices" / "sample.wav"  # rich in /p b m/, /f v/, open and rounded vowels; same format, about 9 s
