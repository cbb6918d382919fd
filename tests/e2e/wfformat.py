"""Makes WfFormat 1.5 documents for tests: layered random DAGs, the same for the same seed. Reads nothing."""

from __future__ import annotations

import random
from typing import Any


def document(seed: int, layers: int = 6, width: int = 5) -> dict[str, Any]:
    """A workflow of at most `layers` * `width` tasks, some of which take no time; every task of a later layer has
    parents in any earlier ones, and the tasks are listed in no useful order."""
    chance = random.Random(seed)
    parents: dict[str, list[str]] = {}
    for layer in range(layers):
        earlier = list(parents)
        for place in range(chance.randint(1, width)):
            parents[f"task {layer}.{place}"] = chance.sample(earlier, min(len(earlier), chance.randint(1, 4)))
    names = list(parents)
    chance.shuffle(names)
    specified = [
        {"name": name, "id": name, "parents": parents[name], "children": [c for c in names if name in parents[c]]}
        for name in names
    ]
    runtimes = {name: chance.choice([0.0, round(chance.uniform(0.1, 60), 3)]) for name in names}
    executed = [{"id": name, "runtimeInSeconds": seconds} for name, seconds in runtimes.items()]
    return {
        "name": f"made with seed {seed}",
        "schemaVersion": "1.5",
        "workflow": {"specification": {"tasks": specified}, "execution": {"makespanInSeconds": 1, "tasks": executed}},
    }
