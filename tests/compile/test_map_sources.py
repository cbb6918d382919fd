"""What feeds a map must give a list, whatever the map's items may be."""

from __future__ import annotations

from typing import Any

import pytest

from loomgraph import END, START, CompileError, Workflow


@pytest.mark.parametrize("item", [int, Any, object, int | None], ids=str)
def test_a_map_that_is_fed_no_list_is_refused_whatever_its_items_are(item: Any) -> None:
    async def work(value: Any) -> int:
        return 1

    work.__annotations__["value"] = item
    wf = Workflow("w", input=int, output=list[int])
    wf.edge(wf.map(START, work), END)
    with pytest.raises(CompileError, match="'work' is a map and takes a list"):
        wf.compile()
