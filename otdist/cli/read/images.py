"""Grey values of images, as they are in the file."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np

from otdist.cli.read.columns import Table
from otdist.cli.read.source import Options, Source, damaged, require_size
from otdist.errors import InputError
from otdist.typing import NDArray

#: Pillow reads no other formats here; some of them run other programs.
_FORMATS = ("PNG", "JPEG", "BMP", "PPM", "TIFF")


def read_image(source: Source, options: Options) -> Table:
    """Read grey values as they are: 0..255, or 0..65535 for 16 bits."""
    name = source.name
    try:
        from PIL import Image
    except ImportError:
        raise InputError(
            f"{name} is an image; reading it needs Pillow: pip install 'otdist[image]'"
        ) from None
    with (
        damaged(name, source.kind, "save it again as a greyscale .png"),
        warnings.catch_warnings(),
    ):
        # Pillow warns of images that may be too large to unpack.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(io.BytesIO(source.data), formats=_FORMATS) as image:
            require_size(name, 4 * image.width * image.height, options)
            frames = getattr(image, "n_frames", 1)
            plain = image.mode in ("1", "L", "F") or image.mode.startswith("I")
            pixels = np.asarray(image if plain else image.convert("RGBA"))
    if frames > 1:
        raise InputError(f"{name} has {frames} frames; save one frame as a file of its own")
    if not plain:
        pixels = _grey(name, pixels)
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    return Table(pixels, "entry", range(pixels.size))


def _grey(name: str, pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the grey values of an RGBA image, or raise if it has colour or transparency."""
    red = pixels[:, :, 0]
    same = (pixels[:, :, 1] == red) & (pixels[:, :, 2] == red)
    opaque = pixels[:, :, 3] == 255
    if not (same & opaque).all():
        row, column = np.argwhere(~(same & opaque))[0]
        kind = "a colour image" if not same.all() else "partly transparent"
        raise InputError(
            f"{name} is {kind} (pixel ({row}, {column}) is"
            f" {tuple(pixels[row, column].tolist())} in RGBA); convert it to greyscale"
            " first: PIL.Image.open(file).convert('L').save(new_file)"
        )
    return red
