"""Claims about numpy's and pandas' values: each reads back exactly, or is refused by name; nothing is pickled."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from datetime import UTC, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel, ConfigDict

from loomgraph import END, START, NodeFailedError, Workflow
from loomgraph.errors import CodecError
from loomgraph.store.codec import Codec
from loomgraph.store.memory import MemoryStore

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
else:
    np = pytest.importorskip("numpy", reason="numpy is not installed")
    pd = pytest.importorskip("pandas", reason="pandas is not installed")

ROOT = Path(__file__).parents[2]
BERLIN = ZoneInfo("Europe/Berlin")


def there_and_back(tp: Any, value: Any) -> Any:
    ref, rows = Codec().dump(tp, value, "node 'n'")
    return Codec().load(tp, json.loads(json.dumps(ref)), rows, "node 'n'")


def refusal(tp: Any, value: Any) -> str:
    with pytest.raises(CodecError) as caught:
        Codec().dump(tp, value, "node 'n'")
    return caught.value.detail


# ---------------------------------------------------------------------- numpy

ARRAYS = {
    "floats": lambda: np.array([[0.1, np.nan], [-0.0, np.inf]]),
    "columns first": lambda: np.asfortranarray(np.arange(6).reshape(2, 3)),
    "every other": lambda: np.arange(10)[::2],
    "of no dimension": lambda: np.array(3, dtype="i1"),
    "empty": lambda: np.zeros((0, 3), dtype="f4"),
    "text": lambda: np.array(["a", "bäh"]),
    "bytes": lambda: np.array([b"a", b"bc"]),
    "times": lambda: np.array(["2020-01-01", "NaT"], dtype="M8[D]"),
    "spans": lambda: np.array([1, 2], dtype="m8[ns]"),
    "big-endian": lambda: np.array([1, 2], dtype=">i4"),
    "complex": lambda: np.array([1 + 2j], dtype="c8"),
    "records": lambda: np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8", (2,))]),
    "booleans": lambda: np.array([True, False]),
}


@pytest.mark.parametrize("make", ARRAYS.values(), ids=ARRAYS.keys())
def test_an_array_reads_back_with_dtype_shape_and_every_bit(make: Any) -> None:
    array = make()
    back = there_and_back(np.ndarray, array)
    assert type(back) is np.ndarray
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert back.flags.f_contiguous == array.flags.f_contiguous or not array.flags.c_contiguous
    assert back.flags.writeable


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: np.array([{}, 1], dtype=object), "holds Python objects, which would have to be pickled"),
        (lambda: np.array([(1, None)], dtype=[("a", "i4"), ("b", object)]), "would have to be pickled"),
        (lambda: np.zeros(1, np.dtype([("a", "i1"), ("b", "f8")], align=True)), "does not keep all of the dtype"),
        (lambda: np.zeros(1, np.dtype("i4", metadata={"a": 1})), "does not keep the metadata of the dtype"),
        (lambda: np.ma.masked_array([1, 2], [True, False]), "it is a MaskedArray and reads back as a ndarray"),
    ],
    ids=["objects", "objects inside", "aligned", "metadata", "masked"],
)
def test_an_array_that_npy_does_not_keep_is_refused(make: Any, reason: str) -> None:
    assert reason in refusal(np.ndarray, make())


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.float64("nan"),
        lambda: np.float32(0.1),
        lambda: np.int8(-3),
        lambda: np.bool_(True),
        lambda: np.str_("bäh"),
        lambda: np.str_(""),
        lambda: np.datetime64("2020-01-01", "s"),
        lambda: np.complex64(1 - 2j),
        lambda: np.longdouble("1.1"),
    ],
)
def test_a_scalar_reads_back_as_the_scalar_that_it_was(make: Any) -> None:
    scalar = make()
    for tp in (type(scalar), np.generic):
        back = there_and_back(tp, scalar)
        assert type(back) is type(scalar)
        assert back.tobytes() == scalar.tobytes()


def test_a_scalar_of_numpy_is_not_made_a_float_silently() -> None:
    assert refusal(float, np.float64(1)) == "it is a float64 and reads back as a float"
    assert [type(x) for x in there_and_back(list[float | np.float64], [1.0, np.float64(1)])] == [float, np.float64]


# ---------------------------------------------------------------------- pandas


def _with(value: Any, **attributes: Any) -> Any:
    for name, item in attributes.items():
        setattr(value, name, item)
    return value


FRAMES = {
    "numbers and text": lambda: pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [0.1, np.nan]}),
    "nothing": pd.DataFrame,
    "only an index": lambda: pd.DataFrame(index=range(1, 7, 2)),
    "only columns": lambda: pd.DataFrame(columns=["a", "b"]),
    "nullable": lambda: pd.DataFrame(
        {
            "i": pd.array([1, None], dtype="Int64"),
            "b": pd.array([True, None], dtype="boolean"),
            "f": pd.array([1.5, None], dtype="Float32"),
            "s": pd.array(["a", None], dtype="string"),
            "u": pd.array([1, None], dtype="UInt8"),
        }
    ),
    "times": lambda: pd.DataFrame(
        {
            "berlin": pd.date_range("2020-10-24", periods=3, tz=BERLIN),
            "utc": pd.date_range("2020", periods=3, tz=UTC),
            "offset": pd.date_range("2020", periods=3, tz=timezone(timedelta(hours=-3))),
            "none": pd.date_range("2020", periods=3),
            "span": pd.to_timedelta([1, 2, None], unit="s"),
        }
    ),
    "categories": lambda: pd.DataFrame(
        {"a": pd.Categorical(["x", "y", "x"], ordered=True), "b": pd.Categorical([1, 2, None])}
    ),
    "text in objects": lambda: pd.DataFrame({"o": pd.Series(["a", None, np.nan], dtype=object)}),
    "twice the same name": lambda: pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]),
    "levels": lambda: pd.DataFrame(
        {("a", 1): [1, 2]}, index=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["k", None])
    ),
    "every day": lambda: pd.DataFrame({"a": [1.0, 2.0]}, index=pd.date_range("2020", periods=2, freq="D", name="day")),
    "attrs": lambda: _with(pd.DataFrame({"a": [1]}), attrs={"source": ["x", 1]}),
    "no duplicates": lambda: pd.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False),
    "bytes the other way": lambda: pd.DataFrame({"a": np.array([1], dtype=">i4"), "c": [1j]}),
}


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES.keys())
def test_a_frame_reads_back_with_dtypes_index_and_names(make: Any) -> None:
    frame = make()
    back = there_and_back(pd.DataFrame, frame)
    pd.testing.assert_frame_equal(back, frame, check_exact=True, check_freq=True, check_flags=True)
    assert list(back.dtypes) == list(frame.dtypes)
    assert (back.attrs, type(back.columns), type(back.index)) == (frame.attrs, type(frame.columns), type(frame.index))


def test_what_is_missing_in_a_column_of_objects_is_missing_in_the_same_way() -> None:
    back = there_and_back(pd.Series, pd.Series(["a", None, np.nan], dtype=object))
    assert back[1] is None
    assert back[2] != back[2]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: pd.DataFrame({"o": pd.Series([1, "a"], dtype=object)}), "column 'o': it holds objects (int, str)"),
        (lambda: pd.DataFrame({"o": pd.Series([[1]], dtype=object)}), "column 'o': it holds objects (list)"),
        (lambda: pd.DataFrame({1: [1], "a": [2]}), "the columns: it holds objects (int, str)"),
        (lambda: pd.DataFrame({"p": pd.period_range("2020", periods=2, freq="M")}), "column 'p': its dtype period[M]"),
        (lambda: pd.DataFrame({"i": pd.interval_range(0, 2)}), "column 'i': its dtype interval[int64, right]"),
        (lambda: pd.DataFrame({"s": pd.arrays.SparseArray([0, 1])}), "column 's': its dtype Sparse[int64, 0]"),
        (lambda: _with(pd.DataFrame({"a": [1]}), attrs={"x": (1,)}), "its attrs are not plain JSON"),
        (lambda: pd.DataFrame({("a",): [1]}).rename_axis([("x",)], axis=1), "the name ('x',) is a tuple"),
    ],
)
def test_a_frame_that_would_not_read_back_is_refused_by_the_name_of_the_column(make: Any, reason: str) -> None:
    assert reason in refusal(pd.DataFrame, make())


@pytest.mark.parametrize(
    "make",
    [
        lambda: pd.Series([1, 2], name="x"),
        lambda: pd.Series([], dtype=float),
        lambda: pd.Index(["a", "b"], name="i"),
        lambda: pd.RangeIndex(3),
        lambda: pd.date_range("2020", periods=3, freq="h", tz="UTC"),
        lambda: pd.Timestamp("2020-01-01 00:00:00.123456789", tz="Europe/Berlin"),
        lambda: pd.Timestamp(2024, 10, 27, 2, 30, fold=1, tz="Europe/Berlin"),
        lambda: pd.Timestamp("2020", tz=timezone(timedelta(hours=1))),
        lambda: pd.Timedelta("1.5s"),
    ],
)
def test_series_indexes_and_moments_read_back(make: Any) -> None:
    value = make()
    back = there_and_back(type(value), value)
    assert type(back) is type(value)
    if isinstance(value, pd.Series):
        pd.testing.assert_series_equal(back, value, check_exact=True)
    elif isinstance(value, pd.Index):
        pd.testing.assert_index_equal(back, value, exact=True)
        assert getattr(back, "freq", None) == getattr(value, "freq", None)
    else:
        assert (back, repr(back), back.unit) == (value, repr(value), value.unit)
        assert getattr(back, "tz", None) == getattr(value, "tz", None)


# ---------------------------------------------------------------------- in a run


class Batch(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    weights: np.ndarray
    table: pd.DataFrame | None = None


@dataclasses.dataclass
class Pair:
    left: np.ndarray
    right: pd.Series


def test_arrays_and_frames_are_kept_as_fields_and_in_containers() -> None:
    batch = there_and_back(Batch, Batch(weights=np.arange(3), table=pd.DataFrame({"a": [1]})))
    assert batch.weights.tolist() == [0, 1, 2]
    assert batch.table.to_dict("list") == {"a": [1]}
    (pair,) = there_and_back(list[Pair], [Pair(np.arange(2), pd.Series([1.0]))])
    assert (pair.left.tolist(), pair.right.tolist()) == ([0, 1], [1.0])
    assert there_and_back(np.ndarray[Any, np.dtype[np.float64]], np.arange(2.0)).tolist() == [0.0, 1.0]


@pytest.mark.anyio
async def test_a_run_over_arrays_is_resumed_where_it_stopped() -> None:
    broken = [True]
    wf = Workflow("numbers", input=int, output=float)

    @wf.node
    async def make(count: int) -> np.ndarray:
        return np.linspace(0, 1, count)

    @wf.node
    async def table(values: np.ndarray) -> pd.DataFrame:
        if broken:
            raise ConnectionError("down")
        return pd.DataFrame({"x": values, "y": values * 2})

    @wf.node
    async def total(frame: pd.DataFrame) -> float:
        return float(frame["y"].to_numpy().sum())

    wf.chain(START, make, table, total, END)
    graph, store = wf.compile(), MemoryStore()
    with pytest.raises(NodeFailedError):
        await graph.run(5, store=store, run_id="r")
    broken.clear()
    assert (await graph.resume("r", store=store)).output == 5.0


def test_neither_library_is_loaded_before_a_value_of_its_is_stored() -> None:
    code = (
        "import sys, loomgraph, loomgraph.store.codec as codec\n"
        "codec.Codec().dump(list[int | None], [1, None], 'n')\n"
        "assert not {'numpy', 'pandas'} & set(sys.modules), sorted(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
