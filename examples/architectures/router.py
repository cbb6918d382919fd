"""Router: a shop's mail goes to whoever can answer it, and to a person where nobody is sure.

Run it: python examples/architectures/router.py

The models are scripted, so no key is needed; with --model openai:gpt-5.2 (or another) a real one works.
"""

from __future__ import annotations

import argparse

from loomgraph import END, START, Agent, Workflow, tool
from loomgraph.architectures import Router, Worker
from loomgraph.models import Model, ScriptedModel, ToolCall

INVOICES = {2041: "39.90 EUR for a {blue} kettle, paid twice: on 2 and on 3 May"}
MAILS = [
    "Invoice 2041 was charged twice!",
    "My kettle hums in B flat. Is that normal?",
    "hello??",
]


@tool(read_only=True, reads="number")
def invoice(number: int) -> str:
    """Look up an invoice.

    Args:
        number: The invoice's number.
    """
    return INVOICES[number]


def person() -> Workflow[str, str]:
    """What nobody is sure about waits for a person."""
    wf = Workflow("person", input=str, output=str)

    @wf.node
    async def put_aside(mail: str) -> str:
        return f"(put aside for a person: {mail!r})"

    wf.chain(START, put_aside, END)
    return wf


def desk(classifier: Model | str, billing: Model | str, technical: Model | str) -> Agent[str, str]:
    routes = {
        "billing": Worker(
            Agent("billing", billing, instructions="You settle invoices.", tools=[invoice]),
            "invoices, payments, refunds",
        ),
        "technical": Worker(Agent("technical", technical, instructions="You know kettles."), "how kettles work"),
    }
    return Agent("desk", classifier, architecture=Router(routes, fallback=person(), min_confidence=0.6))


def main(model: Model | str | None = None) -> None:
    choices = [
        {"route": "billing", "confidence": 0.98, "reason": "It is about a charge."},
        {"route": "technical", "confidence": 0.9, "reason": "It is about a sound."},
        {"route": "technical", "confidence": 0.2, "reason": "There is nothing in it."},
    ]
    looks = ToolCall(id="1", name="invoice", arguments={"number": 2041})
    agent = desk(
        model or ScriptedModel(choices),
        model or ScriptedModel([looks, "Sorry: the second payment, 39.90 EUR, goes back to you today."]),
        model or ScriptedModel(["Yes. It boils."]),
    )
    for mail in MAILS:
        result = agent.run_sync(mail)
        routed = result.node("classify")[0].output
        print(f"{mail}\n  {routed.route} ({routed.choice.confidence}): {result.output}")
        print(f"  {result.usage.model_calls} calls of models")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="such as openai:gpt-5.2; scripted without it")
    main(parser.parse_args().model)
