"""The classes of phones that a lip-reader can tell apart, and how the mouth stands for each.

The shapes follow the usual viseme charts (Oculus' fifteen, with vowels told apart further); `jawOpen` 1 is a gap of about 0.45 eye distances.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import INDEX, MOUTH_COUNT

CLASSES: tuple[str, ...] = (
    "SIL", "PP", "FF", "TH", "DD", "NN", "LL", "KK", "HH", "CH", "SS", "RR",
    "AA", "AE", "EH", "AH", "IH", "IY", "OH", "UW", "WW",
)  # fmt: skip
CLASS_INDEX: dict[str, int] = {name: i for i, name in enumerate(CLASSES)}
SILENCE, BILABIAL, LABIODENTAL = CLASS_INDEX["SIL"], CLASS_INDEX["PP"], CLASS_INDEX["FF"]
VOWEL_CLASSES: tuple[str, ...] = ("AA", "AE", "EH", "AH", "IH", "IY", "OH", "UW")

# The usual fifteen, for comparison with other systems.
FIFTEEN: dict[str, str] = {
    "SIL": "sil", "PP": "PP", "FF": "FF", "TH": "TH", "DD": "DD", "NN": "nn", "LL": "nn", "KK": "kk", "HH": "kk", "CH": "CH", "SS": "SS",
    "RR": "RR", "AA": "aa", "AE": "aa", "AH": "aa", "EH": "E", "IH": "ih", "IY": "ih", "OH": "oh", "UW": "ou", "WW": "ou",
}  # fmt: skip

# ARPAbet; diphthongs are two halves (the first takes 55 %).
ARPABET: dict[str, tuple[str, ...]] = {
    "SIL": ("SIL",), "SP": ("SIL",), "+SPN+": ("SIL",), "+NSN+": ("SIL",), "PAU": ("SIL",), "H#": ("SIL",), "BRTH": ("SIL",),
    "P": ("PP",), "B": ("PP",), "M": ("PP",), "EM": ("PP",), "F": ("FF",), "V": ("FF",), "TH": ("TH",), "DH": ("TH",),
    "T": ("DD",), "D": ("DD",), "DX": ("DD",), "N": ("NN",), "EN": ("NN",), "L": ("LL",), "EL": ("LL",),
    "K": ("KK",), "G": ("KK",), "NG": ("KK",), "HH": ("HH",), "HV": ("HH",),
    "CH": ("CH",), "JH": ("CH",), "SH": ("CH",), "ZH": ("CH",), "S": ("SS",), "Z": ("SS",), "R": ("RR",), "ER": ("RR",), "AXR": ("RR",),
    "AA": ("AA",), "AE": ("AE",), "AH": ("AH",), "AX": ("AH",), "AO": ("OH",), "EH": ("EH",), "IH": ("IH",), "IX": ("IH",), "IY": ("IY",),
    "Y": ("IY",), "UH": ("UW",), "UW": ("UW",), "W": ("WW",), "AY": ("AA", "IH"), "AW": ("AA", "UW"), "EY": ("EH", "IY"), "OW": ("OH", "UW"),
    "OY": ("OH", "IH"),
}  # fmt: skip

# IPA, one symbol at a time; length, stress, tone and secondary articulation are left out before.
IPA: dict[str, str] = {
    **dict.fromkeys("pbmɓʙɸβ", "PP"), **dict.fromkeys("fvʋɱⱱ", "FF"), **dict.fromkeys("θð", "TH"), **dict.fromkeys("tdɾʈɖɗ", "DD"),
    **dict.fromkeys("nɲɳ", "NN"), **dict.fromkeys("lɫɭʎɬɮʟ", "LL"), **dict.fromkeys("kgɡŋxɣqɢχɠcɟɴʔ", "KK"), **dict.fromkeys("hɦħʕʀʁ", "HH"),
    **dict.fromkeys("ʃʒɕʑʂʐçʝ", "CH"), **dict.fromkeys("szʦʣ", "SS"), **dict.fromkeys("ɹɻrɚɝɽ", "RR"), **dict.fromkeys("aɑɒɐ", "AA"),
    **dict.fromkeys("æ", "AE"), **dict.fromkeys("eɛɘ", "EH"), **dict.fromkeys("əʌɜɤɞɵɨᵻɯ", "AH"), **dict.fromkeys("ɪ", "IH"),
    **dict.fromkeys("ij", "IY"), **dict.fromkeys("oɔøœɶ", "OH"), **dict.fromkeys("uʊyʏʉ", "UW"), **dict.fromkeys("wɥʍ", "WW"),
}  # fmt: skip


def visemes_of_ipa(symbol: str) -> tuple[str, ...]:
    """Return the classes of one IPA phone; a diphthong or an affricate may give two. Empty for a symbol without sound of its own."""
    classes = [IPA[letter] for letter in symbol if letter in IPA]
    if classes[:1] == ["DD"] and len(classes) > 1:  # affricates: the lips stand for the fricative
        classes = classes[1:]
    return tuple(name for i, name in enumerate(classes) if i == 0 or name != classes[i - 1])


_SHAPES: dict[str, dict[str, float]] = {
    "SIL": {},
    "PP": {"jawOpen": 0.10, "mouthPress": 0.35},
    "FF": {"jawOpen": 0.10, "mouthRollLower": 0.75, "mouthUpperUp": 0.25},
    "TH": {"jawOpen": 0.17, "mouthLowerDown": 0.18, "tongueUp": 0.7},
    "DD": {"jawOpen": 0.16, "mouthLowerDown": 0.2, "mouthUpperUp": 0.1, "mouthStretch": 0.1, "tongueUp": 0.9},
    "NN": {"jawOpen": 0.18, "mouthLowerDown": 0.15, "mouthUpperUp": 0.05, "tongueUp": 0.9},
    "LL": {"jawOpen": 0.26, "mouthLowerDown": 0.15, "tongueUp": 1.0},
    "KK": {"jawOpen": 0.24, "mouthLowerDown": 0.15, "mouthStretch": 0.08},
    "HH": {"jawOpen": 0.26},
    "CH": {"jawOpen": 0.15, "mouthFunnel": 0.6, "mouthPucker": 0.15, "mouthLowerDown": 0.15, "mouthUpperUp": 0.15},
    "SS": {"jawOpen": 0.12, "mouthStretch": 0.3, "mouthLowerDown": 0.25, "mouthUpperUp": 0.12, "mouthSmile": 0.08},
    "RR": {"jawOpen": 0.24, "mouthFunnel": 0.35, "mouthPucker": 0.2},
    "AA": {"jawOpen": 0.62},
    "AE": {"jawOpen": 0.60, "mouthStretch": 0.28, "mouthLowerDown": 0.2, "mouthUpperUp": 0.12, "mouthSmile": 0.08},
    "EH": {"jawOpen": 0.42, "mouthStretch": 0.25, "mouthLowerDown": 0.15, "mouthSmile": 0.1},
    "AH": {"jawOpen": 0.36},
    "IH": {"jawOpen": 0.28, "mouthStretch": 0.28, "mouthSmile": 0.12, "mouthLowerDown": 0.1},
    "IY": {"jawOpen": 0.24, "mouthStretch": 0.45, "mouthSmile": 0.28, "mouthLowerDown": 0.15},
    "OH": {"jawOpen": 0.50, "mouthFunnel": 0.5, "mouthPucker": 0.25},
    "UW": {"jawOpen": 0.20, "mouthPucker": 0.75, "mouthFunnel": 0.35},
    "WW": {"jawOpen": 0.14, "mouthPucker": 0.85, "mouthFunnel": 0.3},
}


def shape_table() -> NDArray[np.float32]:
    """Return the mouth of each class, float32 (len(CLASSES), MOUTH_COUNT). `mouthClose` is zero here: closing is laid over it (curves.py)."""
    table = np.zeros((len(CLASSES), MOUTH_COUNT), np.float32)
    for name, shape in _SHAPES.items():
        for coefficient, value in shape.items():
            table[CLASS_INDEX[name], INDEX[coefficient]] = value
    return table
