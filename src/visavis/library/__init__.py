"""The portraits and voice clips that come with Visavis. This project made all of them; PROVENANCE.md tells how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryPortrait:
    """One portrait of the library. `tools/portraits` draws the people; none is a photo. Portraits with the same `name`
    are looks of one character.
    """

    slug: str
    name: str
    path: Path  # a JPEG: one face, frontal, upright
    look: str  # the name of the look that is made from it
    description: str  # for people who choose by words alone
    tags: tuple[str, ...]  # for filters
    is_default: bool = False


def _portrait(
    slug: str, name: str, look: str, description: str, *tags: str, is_default: bool = False
) -> LibraryPortrait:
    path = _FOLDER / "portraits" / f"{slug}.jpg"
    return LibraryPortrait(
        slug=slug, name=name, path=path, look=look, description=description, tags=tags, is_default=is_default
    )


PORTRAITS: tuple[LibraryPortrait, ...] = (  # in the order of lists
    _portrait(
        "iris",
        "Iris",
        "Studio",
        "A woman of about thirty with brown shoulder-length hair and a dark teal pullover, in front of an even "
        "grey studio wall.",
        "woman", "adult", "3d",
        is_default=True,
    ),
    _portrait(
        "iris-illustrated",
        "Iris",
        "Illustrated",
        "The same woman, drawn: brown hair to the shoulders, green eyes and a teal roll-neck, before a pale "
        "grey glow and leaves.",
        "woman", "adult", "illustrated",
    ),
    _portrait(
        "edith",
        "Edith",
        "Library",
        "A woman of about seventy with short white hair, blue eyes and a raspberry cardigan, in front of "
        "shelves of books.",
        "woman", "old", "3d",
    ),
    _portrait(
        "leo",
        "Leo",
        "Garden",
        "A young man with brown curls, tan skin and hazel eyes in a green hooded jumper, before trees in the sun.",
        "man", "young", "3d",
    ),
    _portrait(
        "pip",
        "Pip",
        "Illustrated",
        "A drawn young woman with teal bobbed hair, brown skin, freckles and a yellow roll-neck, before a peach "
        "glow and purple leaves.",
        "woman", "young", "illustrated",
    ),
    _portrait(
        "pip-evening",
        "Pip",
        "Evening",
        "The same young woman with her hair in a knot, a violet top and a fine gold chain, before a night sky "
        "and dark leaves.",
        "woman", "young", "illustrated",
    ),
    _portrait(
        "amara",
        "Amara",
        "Illustrated",
        "A drawn woman with dark skin, a round cloud of curls, a coral top and a fine gold chain, before a "
        "sea-green glow and leaves.",
        "woman", "adult", "illustrated",
    ),
    _portrait(
        "tomas",
        "Tomas",
        "Illustrated",
        "A drawn man of about seventy with white hair and beard, blue eyes and a navy jumper over a white "
        "collar, before pale green.",
        "man", "old", "illustrated",
    ),
)  # fmt: skip
DEFAULT_PORTRAIT: LibraryPortrait = next(portrait for portrait in PORTRAITS if portrait.is_default)

GREETING: Path = _FOLDER / "voices" / "greeting.wav"  # Iris greets the visitor; mono PCM16 at 16 kHz, about 4 s
# Contains many /p b m/, /f v/, open and rounded vowels; the same format, about 9 s.
SAMPLE: Path = _FOLDER / "voices" / "sample.wav"
