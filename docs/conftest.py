"""Pages whose examples need another library are left out where it is not installed."""

from importlib.util import find_spec

NEEDS = {
    "coming-from/pot.md": ("ot",),
    "guide/pytorch.md": ("torch",),
    "coming-from/ott.md": ("ott",),
    "coming-from/geomloss.md": ("geomloss",),
    "coming-from/gudhi.md": ("gudhi",),
}
collect_ignore = [page for page, names in NEEDS.items() if not all(map(find_spec, names))]
