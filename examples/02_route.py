"""Route: a ticket goes to the one node that handles its kind. The kinds are types, so compile() sees a missing one.

Run it: python examples/02_route.py
"""

from __future__ import annotations

from pydantic import BaseModel

from loomgraph import END, START, CompileError, Workflow


class Ticket(BaseModel):
    text: str


class Billing(BaseModel):
    amount: int


class Technical(BaseModel):
    component: str


class Praise(BaseModel):
    pass


wf = Workflow("triage", input=Ticket, output=str)


@wf.node
def classify(ticket: Ticket) -> Billing | Technical | Praise:
    words = ticket.text.lower().split()
    amounts = [int(word) for word in words if word.isdigit()]
    if amounts:
        return Billing(amount=amounts[0])
    return Technical(component=words[1]) if "broken" in words else Praise()


@wf.node
def refund(case: Billing) -> str:
    return f"{case.amount} will be refunded"


@wf.node
def diagnose(case: Technical) -> str:
    return f"we are looking at the {case.component}"


@wf.node
def thank(case: Praise) -> str:
    return "thank you!"


wf.edge(START, classify)
wf.route(classify, {Billing: refund, Technical: diagnose, Praise: thank})
for answer in (refund, diagnose, thank):
    wf.edge(answer, END)

graph = wf.compile()


def forgetful() -> Workflow[Ticket, str]:
    """The same without a way for praise."""
    careless = Workflow("careless triage", input=Ticket, output=str)
    for function in (classify.fn, refund.fn, diagnose.fn):
        careless.node(function)
    careless.edge(START, "classify")
    careless.route("classify", {Billing: "refund", Technical: "diagnose"})
    careless.edge("refund", END)
    careless.edge("diagnose", END)
    return careless


def main() -> None:
    for text in ("charged 40 twice", "the door is broken", "lovely shop"):
        print(f"{text}: {graph.run_sync(Ticket(text=text)).output}")
    try:
        forgetful().compile()
    except CompileError as error:
        print(error)


if __name__ == "__main__":
    main()
