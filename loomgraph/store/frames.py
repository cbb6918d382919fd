"""pandas' frames, series and indexes as JSON, column by column. Loaded when such a type is stored.

What reads back: numpy's own dtypes, text, text in object columns (with None or NaN where it is missing), categories,
nullable integers, floats and booleans, and times with a zone; range, multi- and time indexes with their frequency;
names, attrs and flags. Anything else is refused by the name of the column. No pickle, no format of somebody else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, timedelta, timezone, tzinfo
from importlib import import_module
from typing import Any, Final
from zoneinfo import ZoneInfo

from loomgraph.store.arrays import dump_array, load_array
from loomgraph.store.forms import Written

__all__ = ["written"]

# as Any: pandas brings no types of its own
pd: Any = import_module("pandas")
np: Any = import_module("numpy")

_MASKED: Final = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64")


def written(cls: type) -> Written | None:
    """How a class of pandas is written; None for those that are not."""
    if cls is pd.DataFrame:
        return _dump_frame, _load_frame
    if cls is pd.Series:
        return _dump_series, _load_series
    if issubclass(cls, pd.Index):
        return _dump_index, _load_index
    return {pd.Timestamp: (_dump_timestamp, _load_timestamp), pd.Timedelta: (_dump_timedelta, _load_timedelta)}.get(cls)


# ---------------------------------------------------------------------- frames and series


def _dump_frame(frame: Any) -> Any:
    columns = [_named(f"column {name!r}", _dump_values, frame.iloc[:, i]) for i, name in enumerate(frame.columns)]
    return {
        "columns": _named("the columns", _dump_index, frame.columns),
        "index": _named("the index", _dump_index, frame.index),
        "data": columns,
        **_extras(frame),
    }


def _load_frame(data: Any) -> Any:
    index, columns = _load_index(data["index"]), _load_index(data["columns"])
    series = {i: _series(_load_array(column), index) for i, column in enumerate(data["data"])}
    frame = pd.DataFrame(series, index=index, columns=range(len(columns)))
    frame.columns = columns
    return _with_extras(frame, data)


def _dump_series(series: Any) -> Any:
    return {
        "name": _label(series.name),
        "index": _named("the index", _dump_index, series.index),
        "data": _dump_values(series),
        **_extras(series),
    }


def _load_series(data: Any) -> Any:
    series = _series(_load_array(data["data"]), _load_index(data["index"]))
    series.name = data["name"]
    return _with_extras(series, data)


def _series(array: Any, index: Any) -> Any:
    # the dtype is said, or pandas would make text of an object column
    return pd.Series(array, index=index, dtype=array.dtype)


def _extras(value: Any) -> dict[str, Any]:
    attrs: dict[str, Any] = dict(value.attrs)
    if attrs and json.loads(json.dumps(attrs)) != attrs:
        raise ValueError("its attrs are not plain JSON")
    extras: dict[str, Any] = {"attrs": attrs} if attrs else {}
    return extras if value.flags.allows_duplicate_labels else {**extras, "unique": True}


def _with_extras(value: Any, data: Any) -> Any:
    value.attrs = data.get("attrs", {})
    return value.set_flags(allows_duplicate_labels=False) if data.get("unique") else value


# ---------------------------------------------------------------------- indexes


def _dump_index(index: Any) -> Any:
    names = [_label(name) for name in index.names]
    if isinstance(index, pd.MultiIndex):
        levels = [_dump_index(level) for level in index.levels]
        return {"levels": levels, "codes": [dump_array(np.asarray(codes)) for codes in index.codes], "names": names}
    if isinstance(index, pd.RangeIndex):
        return {"range": [index.start, index.stop, index.step], "names": names}
    data = {"data": _dump_values(index), "names": names}
    frequency = getattr(index, "freq", None)
    return data if frequency is None else {**data, "freq": frequency.freqstr}


def _load_index(data: Any) -> Any:
    names = data["names"]
    if "levels" in data:
        levels = [_load_index(level) for level in data["levels"]]
        codes = [load_array(text) for text in data["codes"]]
        return pd.MultiIndex(levels=levels, codes=codes, names=names, verify_integrity=False)
    if "range" in data:
        return pd.RangeIndex(*data["range"], name=names[0])
    array = _load_array(data["data"])
    index = pd.Index(array, dtype=array.dtype, name=names[0])
    if "freq" in data:
        index.freq = data["freq"]
    return index


def _label(name: Any) -> Any:
    if name is None or type(name) in (str, int, bool) or (type(name) is float and math.isfinite(name)):
        return name
    raise ValueError(f"the name {name!r} is a {type(name).__name__}; names are text or numbers")


# ---------------------------------------------------------------------- columns


def _dump_values(holder: Any) -> Any:
    """The values of a column or an index, by the dtype that it says it has."""
    dtype, array = holder.dtype, holder.array
    if isinstance(dtype, pd.CategoricalDtype):
        categories = _dump_index(array.categories)
        return {"codes": dump_array(np.asarray(array.codes)), "categories": categories, "ordered": bool(array.ordered)}
    if isinstance(dtype, pd.DatetimeTZDtype):
        return {"times": dump_array(array.asi8), "unit": dtype.unit, "zone": _dump_zone(dtype.tz)}
    if isinstance(dtype, pd.StringDtype):
        items = [None if pd.isna(item) else item for item in array]
        return {"text": items, "storage": dtype.storage, "na": "NA" if dtype.na_value is pd.NA else "nan"}
    if str(dtype) == "boolean" or str(dtype) in _MASKED:
        plain = np.dtype(str(dtype).lower() if str(dtype) != "boolean" else "bool")
        values = array.to_numpy(dtype=plain, na_value=plain.type(0))
        return {"values": dump_array(values), "missing": dump_array(array.isna()), "dtype": str(dtype)}
    if isinstance(dtype, np.dtype):
        return _dump_objects(array) if dtype.kind == "O" else dump_array(array.to_numpy())
    raise ValueError(f"its dtype {dtype} is not one that can be stored; convert it first")


def _load_array(data: Any) -> Any:
    if isinstance(data, str):
        return load_array(data)
    if "objects" in data:
        return _load_objects(data)
    if "codes" in data:
        dtype = pd.CategoricalDtype(_load_index(data["categories"]), ordered=data["ordered"])
        return pd.Categorical.from_codes(load_array(data["codes"]), dtype=dtype)
    if "times" in data:
        moments = load_array(data["times"]).view(f"M8[{data['unit']}]")
        return pd.DatetimeIndex(moments).tz_localize("UTC").tz_convert(_load_zone(data["zone"])).array
    if "text" in data:
        dtype = pd.StringDtype(data["storage"], na_value=pd.NA if data["na"] == "NA" else np.nan)
        return pd.array(data["text"], dtype=dtype)
    values, missing = load_array(data["values"]), load_array(data["missing"])
    array = pd.array(values, dtype=data["dtype"])
    array[missing] = pd.NA
    return array


def _dump_objects(array: Any) -> Any:
    items: list[Any] = list(array)
    nans = [i for i, item in enumerate(items) if type(item) is float and math.isnan(item)]
    for i in nans:
        items[i] = None
    kinds = sorted({type(item).__name__ for item in items if item is not None})
    if kinds not in ([], ["str"]):
        raise ValueError(f"it holds objects ({', '.join(kinds)}), of which only text can be stored; give it a dtype")
    return {"objects": items, "nan": nans}


def _load_objects(data: Any) -> Any:
    array = np.empty(len(data["objects"]), dtype=object)
    array[:] = data["objects"]
    array[data["nan"]] = np.nan
    return array


def _named(what: str, dump: Callable[[Any], Any], value: Any) -> Any:
    try:
        return dump(value)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error


# ---------------------------------------------------------------------- moments


def _dump_zone(zone: tzinfo | None) -> Any:
    if zone is None or zone is UTC:
        return None if zone is None else "utc"
    if isinstance(zone, ZoneInfo) and zone.key:
        return {"zone": zone.key}
    if type(zone) is timezone and zone == timezone(zone.utcoffset(None)):
        return zone.utcoffset(None).total_seconds()
    raise ValueError(f"its time zone {zone!r} cannot be stored; use zoneinfo")


def _load_zone(data: Any) -> tzinfo | None:
    if data is None or data == "utc":
        return None if data is None else UTC
    return ZoneInfo(data["zone"]) if isinstance(data, dict) else timezone(timedelta(seconds=data))  # pyright: ignore[reportUnknownArgumentType]


def _dump_timestamp(moment: Any) -> Any:
    naive = moment.tz_convert("UTC").tz_localize(None) if moment.tz is not None else moment
    return [int(naive.asm8.view("i8")), moment.unit, _dump_zone(moment.tz), moment.fold]


def _load_timestamp(data: Any) -> Any:
    value, unit, zone, fold = data
    moment = pd.Timestamp(np.int64(value).view(f"M8[{unit}]"))
    if zone is not None:
        moment = moment.tz_localize("UTC").tz_convert(_load_zone(zone))
    return moment if moment.fold == fold else moment.replace(fold=fold)


def _dump_timedelta(span: Any) -> Any:
    return [int(span.asm8.view("i8")), span.unit]


def _load_timedelta(data: Any) -> Any:
    value, unit = data
    return pd.Timedelta(np.int64(value).view(f"m8[{unit}]"))
