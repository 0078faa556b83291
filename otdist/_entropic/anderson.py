"""Anderson's extrapolation of a fixed-point iteration (Anderson, 1965)."""

from __future__ import annotations

import numpy as np

from otdist._typing import FloatArray


class Anderson:
    """Combine the last few steps so that their residuals nearly cancel.

    Of a linear iteration that is what GMRES does (Walker, Ni, 2011). Where residuals
    grow instead, memory is dropped and the iteration goes on from there by itself.
    """

    _MEMORY = 15
    _GROWTH = 10.0

    def __init__(self) -> None:
        self._points: list[FloatArray] = []
        self._residuals: list[FloatArray] = []
        self._least = np.inf

    def next(self, point: FloatArray, image: FloatArray) -> FloatArray:
        """Return where to go on from, given a point and where the iteration puts it."""
        residual = image - point
        size = float(np.abs(residual).max())
        if not size <= self._GROWTH * self._least:
            self._points, self._residuals, self._least = [], [], np.inf
        self._least = min(self._least, size)
        self._points = [*self._points[-self._MEMORY :], point]
        self._residuals = [*self._residuals[-self._MEMORY :], residual]
        if len(self._points) < 2:
            return image
        of_residuals = np.diff(self._residuals, axis=0).T
        of_images = of_residuals + np.diff(self._points, axis=0).T
        part = np.linalg.lstsq(of_residuals, residual, rcond=1e-10)[0]
        return np.asarray(image - of_images @ part)
