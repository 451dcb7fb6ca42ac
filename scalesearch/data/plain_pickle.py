"""Read pickles that hold plain values and numpy arrays, and refuse every other.

A pickle can call anything it can import. Here it can import what numpy's own arrays need, and nothing else.
"""

from __future__ import annotations

import codecs
import io
import math
import pickle
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalesearch.errors import DataError

__all__ = ["load_plain"]


def _latin1(text: object, encoding: object = "latin1") -> bytes:
    """What protocol 2 uses `_codecs.encode` for: the bytes of a str."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("only latin1 text may be encoded")
    return codecs.latin_1_encode(text)[0]


class _Dtype:
    """Stands for numpy's dtype: what it was called with."""

    def __init__(self, code: object, *_: object):
        self.code = code

    def __setstate__(self, state: object) -> None:
        """Byte order and alignment mean nothing for bytes."""


class _Array:
    """Stands for numpy's array while a file is read, because numpy trusts the state that a pickle gives it: spoilt ones
    end the process."""

    def __init__(self, *_: object):
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    def array(self) -> NDArray[np.uint8]:
        """The uint8 array, after every check of its state."""
        if not isinstance(self.state, tuple) or len(self.state) != 5:
            raise pickle.UnpicklingError("an array has five parts")
        _, shape, dtype, fortran, content = self.state
        if not isinstance(dtype, _Dtype) or dtype.code not in ("u1", b"u1", "|u1") or type(content) is not bytes:
            raise pickle.UnpicklingError("only arrays of uint8 are read")
        if not isinstance(shape, tuple) or not all(type(side) is int and side >= 0 for side in shape):
            raise pickle.UnpicklingError("a shape holds whole numbers")
        if len(shape) > 8 or math.prod(shape) != len(content):
            raise pickle.UnpicklingError("an array's shape must fit its content")
        return np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")


def _reconstruct(*_: object) -> _Array:
    return _Array()


_ALLOWED: Mapping[tuple[str, str], Callable[..., Any]] = MappingProxyType(
    {
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,  # written by numpy 1
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,  # written by numpy 2
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Dtype,
        ("_codecs", "encode"): _latin1,
    }
)

# a bytearray is filled before its content is read, so that ten bytes could ask for gigabytes; official files have none
_WITHOUT: frozenset[int] = frozenset(
    code[0] for code in (pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER)
)
_python_unpickler: Any = pickle._Unpickler  # type: ignore[attr-defined, unused-ignore]


class _PlainUnpickler(_python_unpickler):  # type: ignore[misc]
    """Python's own unpickler and not the one in C, whose memo is an array: eight bytes make it take gigabytes."""

    dispatch: Mapping[int, Any] = MappingProxyType(
        {code: load for code, load in _python_unpickler.dispatch.items() if code not in _WITHOUT}
    )

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        allowed = _ALLOWED.get((module_name, global_name))
        if allowed is None:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")
        return allowed


def load_plain(data: bytes, name: str) -> Any:
    """Unpickle containers, numbers, strings (as bytes) and numpy arrays.

    Raises:
        DataError: anything else is asked for, or the bytes are no whole pickle; nothing was called.
    """
    try:
        read = _PlainUnpickler(io.BytesIO(data), encoding="bytes").load()
        if isinstance(read, dict):
            return {key: value.array() if isinstance(value, _Array) else value for key, value in read.items()}
        return read.array() if isinstance(read, _Array) else read
    except Exception as error:  # because a broken pickle raises nearly anything
        rule = f"{name} must be a pickle of plain arrays"
        raise DataError(rule, value=str(error) or type(error).__name__, way_out="get the official archive") from error
