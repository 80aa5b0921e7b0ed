"""Opacity found from colours: strands come out, and what is of one colour is all there or not at all."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from visavis.engine.portrait.closed_form import closed_form

Scene = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Dark hair with strands into a light wall, and a vague guess of where it ends: image, opacity, guess, unknown."""
    height, width = 96, 120
    opacity = np.zeros((height, width), np.float32)
    opacity[:, :50] = 1.0
    for row in range(6, height, 12):
        cv2.line(opacity, (49, row), (59, row + 3), (0.8,), 2, cv2.LINE_AA)
    hair, wall = np.array([0.15, 0.1, 0.08], np.float32), np.array([0.7, 0.72, 0.75], np.float32)
    grain = np.random.default_rng(0).normal(0, 0.008, (height, width, 3)).astype(np.float32)
    image = hair * opacity[..., None] + wall * (1 - opacity[..., None]) + grain
    row_of_guess = np.clip((54 - np.arange(width, dtype=np.float32)) / 16 + 0.5, 0, 1).astype(np.float32)
    guess = row_of_guess[None, :].repeat(height, axis=0)
    return image, opacity, guess, (guess > 0) & (guess < 1)


def test_strands_come_out(scene: Scene) -> None:
    image, opacity, guess, unknown = scene
    found = closed_form(image, guess, unknown)
    assert np.abs(found - opacity)[unknown].mean() < 0.4 * np.abs(guess - opacity)[unknown].mean()
    strands, gaps = unknown & (opacity > 0.7), unknown & (opacity < 0.02)
    assert found[strands].mean() > 0.6 and found[gaps].mean() < 0.15


def test_what_is_known_stays(scene: Scene) -> None:
    image, _, guess, unknown = scene
    found = closed_form(image, guess, unknown)
    assert np.array_equal(found[~unknown], guess[~unknown])
    assert np.array_equal(closed_form(image, guess, np.zeros_like(unknown)), guess)


def test_a_picture_whose_edge_is_unknown_too_has_no_seam_there(scene: Scene) -> None:
    image, opacity, guess, unknown = scene
    found = closed_form(image, guess, unknown)
    edge = np.abs(found - opacity)[[0, -1]][unknown[[0, -1]]].mean()
    assert edge < 2.0 * np.abs(found - opacity)[unknown].mean() + 0.02
