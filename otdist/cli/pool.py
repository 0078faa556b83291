"""Make a grid coarser by summing the masses of square blocks of pixels."""

from __future__ import annotations

from otdist.cli.read import Measure
from otdist.errors import InputError


def pool(measure: Measure, side: int, name: str) -> Measure:
    """Sum blocks of ``side`` by ``side`` pixels; mass is kept, positions are too.

    Parameters
    ----------
    measure : Measure
        A measure on a grid.
    side : int
        Pixels along a block, a divisor of both sides of the grid.
    name : str
        What the messages call the measure.

    Returns
    -------
    Measure
        One atom for each block, at the block's centre in pixels of the original,
        so that distances keep their unit.

    Raises
    ------
    InputError
        If the measure is no grid, or blocks do not fill it.
    """
    if measure.shape is None or measure.weights is None:
        raise InputError(f"{name} holds points, not pixels: --pool is for images and --grid")
    rows, columns = measure.shape
    if side < 1 or rows % side or columns % side:
        raise InputError(
            f"{name} has {rows} x {columns} pixels, which blocks of {side} x {side} do"
            " not fill; take a divisor of both numbers"
        )
    blocks = (rows // side, side, columns // side, side)
    masses = measure.weights.reshape(blocks).sum(axis=(1, 3))
    centres = measure.points.reshape(*blocks, 2).mean(axis=(1, 3))
    return Measure(centres.reshape(-1, 2), masses.ravel(), masses.shape)
