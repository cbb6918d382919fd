"""WCP-28 Blocking discriminator: yes

A discriminator that is used again and again: once it has let the first branch through, it is closed until all branches
have arrived. That is what an iteration is: `act` starts with the first reading, and the next round starts when both
sensors have reported. Each sensor reports to `note` too, so the slower one is not cancelled.
"""

from __future__ import annotations

from loomgraph import END, START, Context, Workflow

wf = Workflow("blocking discriminator", input=int, output=str)


@wf.node
async def begin(rounds: int) -> int:
    return rounds


@wf.node
async def top_sensor(rounds: int, ctx: Context) -> int:
    return await ctx.deps("top", rounds)


@wf.node
async def side_sensor(rounds: int, ctx: Context) -> int:
    return await ctx.deps("side", rounds)


@wf.node
async def act(rounds: int) -> int:
    return rounds - 1


@wf.node
async def note(readings: list[int]) -> None:
    print("noted:", readings)


@wf.node
async def stop(rounds: int) -> str:
    return "done"


wf.edge(START, begin)
wf.parallel([top_sensor, side_sensor], source=begin)
wf.join([top_sensor, side_sensor], into=act, wait="first")
wf.join([top_sensor, side_sensor], into=note)
wf.route(act, {0: stop}, otherwise=begin)
wf.loop(begin, top_sensor, side_sensor, act, include=[note])
wf.edge(stop, END)
graph = wf.compile()


async def read(sensor: str, rounds: int) -> int:
    return rounds


def main() -> None:
    print(graph.run_sync(2, deps=read).output)


if __name__ == "__main__":
    main()
