import numpy as np
import pytest

from visavis.engine.pixels import pixels_at, square_around

PICTURE = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


@pytest.mark.parametrize(
    ("at", "rows", "columns"),
    [
        ((2.9, 1.2), slice(0, 3), slice(0, 4)),
        ((-7.0, 1.0), slice(0, 3), slice(0, 2)),
        ((40.0, 1.0), slice(0, 3), slice(2, 6)),
        ((2.0, -9.0), slice(0, 2), slice(0, 4)),
        ((2.0, 90.0), slice(1, 5), slice(0, 4)),
        ((-1e9, 1e9), slice(1, 5), slice(0, 2)),
    ],
)
def test_a_square_lies_in_the_picture_wherever_its_point_is(
    at: tuple[float, float], rows: slice, columns: slice
) -> None:
    assert square_around(PICTURE, np.array(at, np.float32), 2) == (rows, columns)
    assert PICTURE[rows, columns].size


def test_points_beyond_an_edge_have_the_pixels_of_that_edge() -> None:
    points = np.array([(-3, 0), (9, 0), (1.9, -2), (1, 99), (2.5, 3.5)], np.float32)
    assert pixels_at(PICTURE, points).tolist() == [
        PICTURE[y, x].tolist() for x, y in ((0, 0), (4, 0), (1, 0), (1, 3), (2, 3))
    ]
