"""A hash of all that a computation depends on: data, options, and the whole of a function.

What belongs to Python, to an installed package or to otdist is known by its name and version.
Other functions are known by their code and by all values that they read; other objects by
their class and by their state, as it is pickled.
"""

from __future__ import annotations

import dis
import functools
import hashlib
import importlib
import importlib.metadata
import pickle
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

_SCALARS = (bool, int, float, complex, str, bytes, type(None), type(...), np.generic)
# Of the attributes of a class, those that say nothing of what it does.
_NO_BEHAVIOUR = {"__dict__", "__weakref__", "__doc__", "__module__", "_abc_impl"}
_NO_BEHAVIOUR |= {"__annotations__", "__firstlineno__", "__static_attributes__"}
_SLOTS = types.GetSetDescriptorType, types.MemberDescriptorType
# Python functions inside of compiled and of cached ones.
_WRAPPED = "py_func", "__wrapped__"
_READS = "LOAD_GLOBAL", "LOAD_NAME"


class UnknownObjectError(TypeError):
    """An object that no other process could recognise."""


def fingerprint(*parts: Any) -> str:
    """Return a hash of arrays, numbers, functions and objects, the same in every process."""
    digest = hashlib.sha256()
    for part in _described(parts, {}):
        digest.update(f"{len(part)} ".encode())
        digest.update(part)
    return digest.hexdigest()[:32]


def _described(value: Any, seen: dict[int, tuple[int, Any]]) -> Iterator[Any]:
    """Yield bytes that tell a value from all others.

    `seen` numbers functions and objects that may lead back to themselves, and keeps them
    alive, so that no other gets their id.
    """
    if type(value) in (np.ndarray, np.memmap) and not value.dtype.hasobject:
        yield f"array {value.dtype} {value.shape}".encode()
        yield np.ascontiguousarray(value).reshape(-1).view(np.uint8).data
        return
    yield type(value).__qualname__.encode()
    if isinstance(value, _SCALARS):
        yield repr(value).encode("utf-8", "surrogatepass")
    elif isinstance(value, set | frozenset):
        yield from sorted(fingerprint(each).encode() for each in value)
    elif id(value) in seen:
        yield f"{seen[id(value)][0]}".encode()
    else:
        if not isinstance(value, tuple | types.CodeType):  # equal ones may be one object, or two
            seen[id(value)] = len(seen), value
        parts = _parts(value)
        yield f"{len(parts)}".encode()
        for part in parts:
            yield from _described(part, seen)


def _parts(value: Any) -> tuple[Any, ...]:
    """Return what a value is made of."""
    installed = _installed(value)
    if installed is not None:
        return installed
    if type(value) in (tuple, list):
        return tuple(value)
    if type(value) is dict or isinstance(value, types.MappingProxyType):
        return tuple(value.items())
    if isinstance(value, types.MethodType):
        return value.__func__, value.__self__
    if isinstance(value, types.FunctionType):
        defaults = value.__defaults__, value.__kwdefaults__
        return value.__code__, defaults, value.__closure__, vars(value), _read_by(value)
    if isinstance(value, types.CodeType):
        names = value.co_names, value.co_varnames[: value.co_argcount + value.co_kwonlyargcount]
        return value.co_code, value.co_consts, names, value.co_flags, value.co_exceptiontable
    if isinstance(value, types.CellType):
        try:
            return (value.cell_contents,)
        except ValueError:  # not assigned yet
            return ()
    if isinstance(value, staticmethod | classmethod):
        return (value.__func__,)
    if isinstance(value, property):
        return value.fget, value.fset, value.fdel
    if isinstance(value, types.ModuleType):
        return value.__name__, _source(value)
    if isinstance(value, type):
        own = {k: v for k, v in vars(value).items() if k not in _NO_BEHAVIOUR}
        own = {k: v for k, v in own.items() if not isinstance(v, _SLOTS)}
        return value.__qualname__, value.__bases__, own
    for name in _WRAPPED if callable(value) else ():
        if isinstance(getattr(value, name, None), types.FunctionType):
            return name, getattr(value, name)
    return _parts_of_object(value)


def _read_by(function: types.FunctionType) -> dict[str, Any]:
    """Return the globals that a function reads, and what it reads of modules."""
    read: dict[str, Any] = {}
    names: set[str] = set()
    for code in _codes(function.__code__):
        names |= set(code.co_names)
        for each in dis.get_instructions(code):
            if each.opname in _READS and each.argval in function.__globals__:
                read[each.argval] = function.__globals__[each.argval]
            elif each.opname == "IMPORT_NAME":
                read[each.argval] = _imported(each.argval)
    modules = [each for each in read.values() if isinstance(each, types.ModuleType)]
    while modules:
        module = modules.pop()
        own = {} if _installed(module) else vars(module)
        for name in sorted(names & own.keys()):
            key = f"{module.__name__}:{name}"
            if key not in read and isinstance(own[name], types.ModuleType):
                modules.append(own[name])
            read[key] = own[name]
    return read


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield the code of a function, and of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _imported(name: str) -> Any:
    """Return a module that a function imports when it is called."""
    try:
        return importlib.import_module(name)
    except (ImportError, ValueError):  # it may be optional, or named relative to its package
        return None


def _source(module: types.ModuleType) -> bytes:
    try:
        return Path(str(module.__file__)).read_bytes()
    except (AttributeError, OSError) as error:
        raise UnknownObjectError(f"{module.__name__} is a module without a file") from error


def _parts_of_object(value: Any) -> tuple[Any, ...]:
    """Return the class and the state of an object, as `pickle` keeps them."""
    try:
        reduced = value.__reduce_ex__(4)
    except Exception as error:  # noqa: BLE001 (whatever a type raises that is not pickled)
        raise UnknownObjectError(f"{_name(value)}: {error}") from None
    if not isinstance(reduced, str):
        return type(value), *(
            list(each) if isinstance(each, Iterator) else each for each in reduced
        )
    module = pickle.whichmodule(value, reduced)  # type: ignore[attr-defined]
    if module == "__main__":
        raise UnknownObjectError(f"{_name(value)} is in no module")
    return sys.modules[module], reduced


def _installed(value: Any) -> tuple[Any, ...] | None:
    """Return name and version of what Python, installed packages and otdist have; else None."""
    module: Any
    name: Any
    if isinstance(value, types.ModuleType):
        module, name = value.__name__, ""
    elif callable(value):
        name = getattr(value, "__qualname__", None)
        module = getattr(value, "__module__", None)
        if isinstance(value, np.ufunc):  # those of SciPy do not know their module
            name = value.__name__
            module = pickle.whichmodule(value, name)  # type: ignore[attr-defined]
        if not isinstance(module, str) or not isinstance(name, str):
            return None
        found: Any = sys.modules.get(module)
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is not value:
            return None
    else:
        return None
    version = _version(module)
    return None if version is None else (module, name, version)


@functools.cache
def _version(module: str) -> str | None:
    """Return the version of the package that a module belongs to; None if not installed."""
    package = module.partition(".")[0]
    if package in sys.stdlib_module_names:
        return sys.version.split()[0]
    loaded = sys.modules.get(package)
    where = {*Path(getattr(loaded, "__file__", None) or "").parts}
    is_installed = bool(where & {"site-packages", "dist-packages"}) and package != "__main__"
    if not (is_installed or package == "otdist"):
        return None
    try:
        return str(getattr(loaded, "__version__", "") or importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return ""


def _name(value: Any) -> str:
    return str(getattr(value, "__qualname__", type(value).__qualname__))
