"""WCP-31 Blocking partial join: yes

A partial join that is used again and again, and closed after the k-th branch until all m have arrived. As with the
blocking discriminator: a quorum in a loop, whose next iteration starts when every branch of this one has finished.
"""

from __future__ import annotations

from loomgraph import END, START, Context, Quorum, Workflow

wf = Workflow("blocking partial join", input=int, output=str)


@wf.node
async def begin(rounds: int) -> int:
    return rounds


async def vote(rounds: int, ctx: Context) -> int:
    return await ctx.deps(ctx.node, rounds)


voters = [wf.node(vote, name=name) for name in ("Ann", "Ben", "Cem")]


@wf.node
async def act(votes: list[int]) -> int:
    return votes[0] - 1


@wf.node
async def note(votes: list[int]) -> None:
    print("noted:", votes)


@wf.node
async def stop(rounds: int) -> str:
    return "done"


wf.edge(START, begin)
wf.parallel(voters, source=begin, into=act, wait=Quorum(2))
wf.join(voters, into=note)
wf.route(act, {0: stop}, otherwise=begin)
wf.loop(begin, *voters, act, include=[note])
wf.edge(stop, END)
graph = wf.compile()


async def ask(voter: str, rounds: int) -> int:
    return rounds


def main() -> None:
    print(graph.run_sync(2, deps=ask).output)


if __name__ == "__main__":
    main()
