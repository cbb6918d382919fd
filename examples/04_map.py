"""Map: one node over a list, two items at a time; an item that fails is collected and does not stop the others.

Run it: python examples/04_map.py
"""

from __future__ import annotations

from loomgraph import END, START, Failure, Workflow

wf = Workflow("prices", input=list[str], output=str)


@wf.node
async def parse(price: str) -> int:
    """A price such as "3.50", in cents."""
    whole, _, cents = price.partition(".")
    return int(whole) * 100 + int(cents or 0)


@wf.node
def add_up(prices: list[int | Failure]) -> str:
    good = [price for price in prices if not isinstance(price, Failure)]
    bad = [price for price in prices if isinstance(price, Failure)]
    complaints = "".join(f"\n  {failure.key}: {failure.message}" for failure in bad)
    return f"{sum(good)} cents in {len(good)} prices, {len(bad)} refused{complaints}"


# what comes after the map gets the list, in the order of the items
wf.map(START, parse, limit=2, on_error="collect")
wf.chain(parse, add_up, END)

graph = wf.compile()


def main() -> None:
    print(graph.run_sync(["3.50", "2", "free", "10.05"]).output)


if __name__ == "__main__":
    main()
