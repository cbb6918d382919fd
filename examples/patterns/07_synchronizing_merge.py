"""WCP-7 Structured synchronizing merge: yes

After a multi-choice, the next task waits for the branches that were taken, however many that are, and runs once. A
join knows them: the edges of a skipped branch settle as skipped, so it neither hangs nor fires early.
"""

from __future__ import annotations

from loomgraph import END, OTHERWISE, START, Workflow

wf = Workflow("synchronizing merge", input=int, output=str)


def is_even(number: int) -> bool:
    return number % 2 == 0


def is_large(number: int) -> bool:
    return number > 100


@wf.node
async def read(number: int) -> int:
    return number


@wf.node
async def halve(number: int) -> int:
    return number // 2


@wf.node
async def weigh(number: int) -> int:
    return number


@wf.node
async def round_down(number: int) -> int:
    return number - number % 100


@wf.node
async def keep(number: int) -> int:
    return number


@wf.node
async def report(found: list[int]) -> str:
    return " and ".join(map(str, found))


wf.edge(START, read)
wf.edge(read, halve, when=is_even)
wf.edge(read, weigh, when=is_large)
wf.edge(read, keep, when=OTHERWISE)
wf.edge(weigh, round_down)
wf.join([halve, round_down, keep], into=report)
wf.edge(report, END)
graph = wf.compile()


def main() -> None:
    for number in (7, 8, 101, 108):
        print(graph.run_sync(number).output)


if __name__ == "__main__":
    main()
