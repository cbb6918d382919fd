"""numpy's arrays and scalars as text: the npy format in base64, never pickled. Loaded when such a type is stored.

An array reads back with its dtype, shape and byte order; whether its memory lay in rows or columns is kept, other
strides are not. Arrays of objects, and dtypes that the npy format does not know whole, are refused.
"""

from __future__ import annotations

import io
from base64 import b64decode, b64encode
from importlib import import_module
from typing import Any

from loomgraph.store.forms import Written

__all__ = ["dump_array", "load_array", "written"]

# as Any: numpy's own types say nothing about what is read from a file
np: Any = import_module("numpy")


def written(cls: type) -> Written | None:
    """How a class of numpy is written; None for those that are no values."""
    if cls is np.ndarray:
        return dump_array, load_array
    return (_dump_scalar, _load_scalar) if issubclass(cls, np.generic) else None


def dump_array(array: Any) -> str:
    """An array as the base64 of an npy file. Raises ValueError for what that does not keep."""
    _check(array.dtype)
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=False)
    return b64encode(file.getbuffer()).decode()


def load_array(text: str) -> Any:
    """The array again, with memory of its own. Raises ValueError for other text."""
    return np.lib.format.read_array(io.BytesIO(b64decode(text, validate=True)), allow_pickle=False)


def _check(dtype: Any) -> None:
    if dtype.hasobject:
        raise ValueError(f"an array of dtype {dtype} holds Python objects, which would have to be pickled")
    if _has_metadata(dtype):
        raise ValueError(f"the npy format does not keep the metadata of the dtype {dtype}")
    known = np.lib.format.descr_to_dtype(np.lib.format.dtype_to_descr(dtype))
    if known != dtype or known.isalignedstruct != dtype.isalignedstruct:
        raise ValueError(f"the npy format does not keep all of the dtype {dtype}")


def _has_metadata(dtype: Any) -> bool:
    if dtype.metadata:
        return True
    inner: dict[str, Any] = dtype.fields or {}
    return any(_has_metadata(field[0]) for field in inner.values()) or (
        dtype.subdtype is not None and _has_metadata(dtype.base)
    )


def _dump_scalar(value: Any) -> list[str]:
    dtype = value.dtype
    if dtype.hasobject or dtype.names is not None or np.dtype(dtype.str) != dtype or dtype.metadata:
        raise ValueError(f"a scalar of dtype {dtype} is not written; make an array of it")
    return [dtype.str, b64encode(value.tobytes()).decode()]


def _load_scalar(parts: Any) -> Any:
    code, text = parts
    data = b64decode(text, validate=True)
    dtype = np.dtype(code)
    # an empty text has no bytes to read from
    return np.frombuffer(data, dtype)[0] if dtype.itemsize else dtype.type()
