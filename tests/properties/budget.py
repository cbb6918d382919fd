"""How many examples the property tests draw: few and always the same by default, many with LOOMGRAPH_EXAMPLES=n."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

__all__ = ["examples"]

_WANTED = os.environ.get("LOOMGRAPH_EXAMPLES")


def examples(default: int) -> settings:
    """Settings for a test that draws `default` examples; LOOMGRAPH_EXAMPLES draws that many, and new ones each time."""
    return settings(
        max_examples=default if _WANTED is None else int(_WANTED),
        derandomize=_WANTED is None,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],  # to explain a failure takes longer than to find it
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
