"""WCP-3 Synchronization: yes

Several parallel branches come together, and the next task starts when all of them have finished. That is `join`; the
branches are bound to parameters by name, or to one list in declared order.
"""

from __future__ import annotations

from loomgraph import END, START, Workflow

wf = Workflow("synchronization", input=str, output=str)


@wf.node
async def find_price(article: str) -> int:
    return len(article) * 10


@wf.node
async def find_stock(article: str) -> int:
    return len(article)


@wf.node
async def offer(price: int, stock: int) -> str:
    return f"{stock} in stock at {price} each"


wf.edge(START, find_price)
wf.edge(START, find_stock)
wf.join({"price": find_price, "stock": find_stock}, into=offer)
wf.edge(offer, END)
graph = wf.compile()


def main() -> None:
    print(graph.run_sync("lamp").output)


if __name__ == "__main__":
    main()
