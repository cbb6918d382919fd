"""WCP-5 Simple merge: yes

Branches of which only one is taken come together without waiting for each other. Plain edges into one node mean "one
of these"; the node runs once, with the value of the branch that was taken.
"""

from __future__ import annotations

from loomgraph import END, START, Workflow

wf = Workflow("simple merge", input=str, output=str)


@wf.node
async def receive(order: str) -> str:
    return order


@wf.node
async def charge_card(order: str) -> str:
    return f"{order}, charged"


@wf.node
async def send_invoice(order: str) -> str:
    return f"{order}, on account"


@wf.node
async def deliver(order: str) -> str:
    return f"{order}, delivered"


wf.edge(START, receive)
wf.route(receive, {str.islower: charge_card}, otherwise=send_invoice)
wf.edge(charge_card, deliver)
wf.edge(send_invoice, deliver)
wf.edge(deliver, END)
graph = wf.compile()


def main() -> None:
    print(graph.run_sync("lamp").output)


if __name__ == "__main__":
    main()
