"""Who is drawn: the shape (blend of targets), the colours and the hair of each person. Colours are linear RGB."""

from __future__ import annotations

REFERENCE = {  # the shape in which `paint` and `hair` give their coordinates
    "macrodetails/caucasian-female-young": 0.8,
    "macrodetails/asian-female-young": 0.2,
    "macrodetails/universal-female-young-averagemuscle-averageweight": 1.0,
}

IRIS = {
    "seed": 7,
    "blend": REFERENCE
    | {
        "eyes/@-eye-size-big": 0.85,
        "eyes/@-eye-height2-max": 0.28,
        "head/head-scale-horiz-less": 0.25,
        "chin/chin-width-min": 0.4,
        "chin/chin-jaw-drop-less": 0.3,
        "neck/neck-scale-horiz-less": 0.45,
        "expression/units/caucasian/mouth-corner-puller": 0.22,
        "mouth/mouth-philtrum-volume-increase": 0.3,
        "mouth/mouth-upperlip-volume-inflate": 0.35,
        "mouth/mouth-lowerlip-volume-inflate": 0.35,
        "mouth/mouth-angles-up": 0.35,
        "nose/nose-scale-horiz-decr": 0.2,
        "cheek/@-cheek-bones-out": 0.3,
        "head/head-oval": 0.5,
    },
    "skin": (0.66, 0.385, 0.275),
    "flush": (1.05, 0.80, 0.78),
    "lips": (0.46, 0.13, 0.125),
    "lid": 0.35,
    "liner": 0.9,
    "freckles": 0.25,
    "stubble": 0.0,
    "brow_shade": 0.3,
    "brow_tint": (0.50, 0.42, 0.38),
    "brow_count": 520,
    "brow_shift": -0.018,
    "iris": ((0.075, 0.10, 0.075), (0.17, 0.11, 0.045)),  # outer, inner ring
    "hair": {
        "count": 42000,
        "clumps": 1100,
        "part_x": 0.16,
        "goal_degrees": (66, 74, 96, 150, 176),
        "lying": 0.55,
        "volume": 0.10,
        "root_lift": 0.05,
        "length": 1.42,
        "inward": 0.09,
        "tip_inward": 0.10,
        "wave": 0.11,
        "wave_turns": 2.1,
        "frizz": 0.0020,
        "clumping": 0.72,
        "locks": 0.028,
        "radius_mm": 0.085,
    },
    "hair_melanin": 0.70,
    "hair_redness": 0.38,
    "scalp": (0.10, 0.065, 0.045),
    "garment": (0.020, 0.050, 0.060),
    "background": ((0.33, 0.38, 0.39), (0.13, 0.165, 0.175)),
}

PEOPLE = {"iris": IRIS}
