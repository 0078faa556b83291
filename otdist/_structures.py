"""Problems whose atoms have structure, which a faster method uses."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

import numpy as np

from otdist import _validate
from otdist._geometry import Geometry
from otdist._ground import grid_geometry, require_metric
from otdist._typing import ArrayLike, FloatArray, Metric


class Structured:
    """The constructors of `Problem` for more than points and matrices."""

    __slots__ = ()

    @classmethod
    @abstractmethod
    def _of(
        cls,
        geometry: Geometry,
        a: FloatArray,
        b: FloatArray,
        metric: Metric | None,
        p: float,
        mass: float,
    ) -> Self:
        """Return the problem with these fields; a and b are nobody else's."""

    @classmethod
    def on_grid(
        cls,
        A: ArrayLike,
        B: ArrayLike,
        *,
        spacing: ArrayLike = 1.0,
        metric: Metric = "euclidean",
        p: float = 1,
        normalize: bool = False,
    ) -> Self:
        """Make a problem from two images, volumes or histograms on one grid.

        Pixel i is at ``spacing * i``; atoms are the pixels in C order, so that masses
        and potentials are ``A.ravel()`` and the like.

        Parameters
        ----------
        A, B : array_like of one shape
            Mass of each pixel, >= 0, with one sum; any number of axes.
        spacing : float or array_like (number of axes,), default 1.0
            Distance of neighbouring pixels, along all axes or along each.
        metric, p, normalize
            As for `Problem`. With ``metric="cityblock"``, p = 1, and with
            ``metric="euclidean"``, p = 2, the cost is a sum over the axes, and
            ``method="sinkhorn"`` and certificates use that. With p = 1 what the
            images have in common is cancelled first.

        Returns
        -------
        Problem
            On the line, if there is one axis.

        Raises
        ------
        InputError
            As for `Problem`; shapes that differ, a spacing that is not positive.

        Notes
        -----
        Where the cost is a sum over axes, the Gibbs kernel of entropic transport is a
        product over them (Solomon et al., *Convolutional Wasserstein distances*,
        2015). An iteration then takes time O(N · sum of the sides) for N pixels, in
        the logarithmic domain at any epsilon, and O(N) memory beside a matrix for
        each axis; so does the certificate.

        Exact W1 of N pixels, Euclidean or Chebyshev, starts from pooled images and
        takes O(N) memory; its certificate looks at no more than N²/2 pairs. The
        potentials are one function of slope 1 on all pixels and its negative.

        Examples
        --------
        A spot that moves by 3 pixels and by 4:

        >>> import numpy as np
        >>> from otdist import Problem, solve
        >>> A, B = np.zeros((2, 32, 32))
        >>> A[10, 10] = B[13, 14] = 1
        >>> solve(Problem.on_grid(A, B)).value
        5.0
        >>> result = solve(Problem.on_grid(A, B, p=2), method="sinkhorn")
        >>> round(result.distance, 9), result.gap < 1e-9
        (5.0, True)
        """
        order = _validate.as_order(p)
        require_metric(metric, order)
        a, b, mass, sides = _validate.as_images(A, B, normalize)
        steps = _validate.as_spacing(spacing, len(sides))
        with np.errstate(over="ignore"):
            axes = [
                step * np.arange(side) for step, side in zip(steps, sides, strict=True)
            ]
        geometry = grid_geometry(axes, metric, order)
        return cls._of(geometry, a, b, metric, order, mass)
