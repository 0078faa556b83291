"""Rays of a minimum of funnels in a cube, which transport mass optimally."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from otdist.typing import FloatArray

_ROWS = 1 << 8  # of a block in which distances to all centres are held


@dataclass(frozen=True, slots=True, eq=False)
class Rays:
    """The rays of ``min_k |z - centres[k]| + offsets[k]`` inside a cube."""

    centres: FloatArray
    offsets: FloatArray
    half_width: float
    power: float

    def cube(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw from the uniform law on the cube."""
        return self.half_width * rng.uniform(-1.0, 1.0, (n, self.centres.shape[1]))

    def moved(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw from the law of points moved down their rays."""
        y = self.cube(n, rng)
        for start in range(0, n, _ROWS):
            part = y[start : start + _ROWS]
            ray, height, length = self._position(part)
            part += ((height / length) ** (self.power - 1) - 1)[:, None] * ray
        return y

    def lengths(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw lengths by which a point is moved."""
        parts = []
        for start in range(0, n, _ROWS):
            _, height, length = self._position(self.cube(min(_ROWS, n - start), rng))
            parts.append(height - length * (height / length) ** self.power)
        return np.concatenate(parts)

    def gradient(self, points: FloatArray) -> FloatArray:
        """Return the gradient of -u, towards the centre that decides."""
        return unit(self.centres[self._heights(points)[1].argmin(axis=1)] - points)

    def _heights(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return products with the centres, and heights of all funnels (n, K)."""
        product = points @ self.centres.T
        squares = np.einsum("kd,kd->k", self.centres, self.centres) - 2 * product
        squares += np.einsum("kd,kd->k", points, points)[:, None]
        return product, np.sqrt(np.maximum(squares, 0.0)) + self.offsets

    def _position(self, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return y - centre, how far up its ray y is, and how long the ray is."""
        product, heights = self._heights(y)
        rows = np.arange(len(y))
        own = heights.argmin(axis=1)
        ray = y - self.centres[own]
        up = np.linalg.norm(ray, axis=1)
        direction = unit(ray)
        with np.errstate(divide="ignore", invalid="ignore"):
            wall = (self.half_width - np.sign(direction) * y) / np.abs(direction)
        # Beyond y by s the own funnel has risen by s, and another one is as high where
        # |w + s v|**2 = (c + s)**2, with w = y - its centre and c = u(y) - its offset.
        c = (up + self.offsets[own])[:, None] - self.offsets
        squares = (heights - self.offsets) ** 2 - c**2
        products = product - (self.centres @ self.centres.T)[own]
        along = np.einsum("kd,kd->k", y, direction)[:, None]
        along = along - products / np.where(up > 0, up, 1.0)[:, None]
        slope = 2 * (c - along)
        slope[rows, own] = -1.0
        with np.errstate(divide="ignore", invalid="ignore"):
            taken = np.where(slope > 0, squares / slope, np.inf).min(axis=1)
        beyond = np.minimum(np.maximum(taken, 0.0), np.nanmin(wall, axis=1))
        return ray, up, up + beyond


def unit(vectors: FloatArray) -> FloatArray:
    """Return vectors (k, d) divided by their lengths; 0 stays 0."""
    length = np.sqrt(np.einsum("kd,kd->k", vectors, vectors))
    return vectors / np.where(length > 0, length, 1.0)[:, None]
