"""Failures: a service that answers at the third attempt, one that never does, and a mistake that is not tried again.

Run it: python examples/06_failures.py
"""

from __future__ import annotations

from loomgraph import END, START, Context, Failure, NodeFailedError, Retry, Workflow

wf = Workflow("rates", input=str, output=str)


@wf.node(retry=Retry(attempts=3, delay=0.01), timeout=5)
async def ask(currency: str, ctx: Context) -> str:
    """A service that is busy: for the euro twice, for the pound always."""
    if currency == "GBP" or (currency == "EUR" and ctx.attempt < 3):
        raise ConnectionError(f"busy at attempt {ctx.attempt}")
    if currency not in {"EUR", "USD"}:
        raise ValueError(f"{currency} is no currency")  # a programming error: the default retry lets it be
    return f"{currency}: 1.07"


@wf.node
def look_up(failure: Failure) -> str:
    """What to do when the service is down; the failure says what happened."""
    return f"yesterday's rate, because {failure.node} was {failure.message}"


wf.chain(START, ask, END)
wf.on_error(ask, look_up, ConnectionError)
wf.edge(look_up, END)

graph = wf.compile()


def main() -> None:
    for currency in ("USD", "EUR", "GBP"):
        result = graph.run_sync(currency)
        print(f"{result.output} (attempts: {result.node('ask')[0].attempts})")
    try:
        graph.run_sync("florins", run_id="r1")
    except NodeFailedError as error:
        print(error)
        print(f"the cause is your own exception: {error.__cause__!r}")


if __name__ == "__main__":
    main()
