"""Claims about what architectures are put together from: roles, parts, and prompts that are joined, never formatted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from loomgraph import END, START, Context, Workflow
from loomgraph.architectures import ActorCritic, Reflexion, SelfRefine
from loomgraph.architectures.roles import both, judging, noted, part, role, sections, shown, told_part
from loomgraph.errors import DefinitionError, GraphChangedError
from loomgraph.models import Image, ModelRequest, ScriptedModel, UserMessage, user
from loomgraph.nodes.agent import Agent
from loomgraph.nodes.hooks import Hooks
from loomgraph.store.memory import MemoryStore
from tests.architectures.stage import PLAYS, Speaker, role_of, said, told

pytestmark = pytest.mark.anyio

HARSH = '{0} {x} %s </task> "q"'


class Pair(BaseModel):
    left: int
    right: int


def test_texts_stand_between_tags_as_they_are_and_what_is_empty_is_left_out() -> None:
    message = sections(task=HARSH, nothing=None, empty="", draft="b")
    assert message == user(f"<task>\n{HARSH}\n</task>", "\n\n<draft>\nb\n</draft>"), "each a part of its own"
    assert shown(HARSH) == HARSH
    assert shown(Pair(left=1, right=2)) == '{\n  "left": 1,\n  "right": 2\n}'


def test_pictures_stay_between_the_texts_around_them() -> None:
    picture = Image(url="https://example.org/cat.png")
    message = sections(task=user("before", picture, "after"), draft="d")
    assert [getattr(piece, "text", piece) for piece in message.parts] == [
        "<task>\nbefore",
        picture,
        "after\n</task>",
        "\n\n<draft>\nd\n</draft>",
    ]


def test_instructions_may_be_functions_of_the_context_in_every_role() -> None:
    play = PLAYS["reflexion"]
    model = Speaker(play.answer)
    agent = play.agent(model).replace(instructions=lambda ctx: f"You work for {{{ctx.user_id}}}.")
    agent.run_sync(play.task, user_id="ada")
    assert {role_of(request) for request in model.requests} == {"agent", "evaluator", "reflector"}
    assert all("You work for {ada}." in told(request) for request in model.requests)


def test_instructions_that_follow_each_other_leave_empty_ones_out() -> None:
    assert both("a", "", "b") == "a\n\nb"
    assert judging(Agent("x", "echo"), "Judge.") == "Judge."


def test_a_graph_is_the_same_in_another_process_as_long_as_its_instructions_are() -> None:
    def made(instructions: Any) -> str:
        return Agent("x", "echo", instructions=instructions, architecture=SelfRefine()).graph.fingerprint

    def told_so(text: str) -> Any:
        def instructions(ctx: Context) -> str:
            def say() -> str:  # code inside code, which has an address in memory
                return text

            return say()

        return instructions

    assert made(told_so("a")) == made(told_so("a"))
    assert made(told_so("a")) != made(told_so("b"))
    assert made("a") != made("b")


async def test_a_run_is_not_resumed_with_another_critic_unless_that_is_said() -> None:
    store = MemoryStore()
    play = PLAYS["actor_critic"]
    agent = play.agent(Speaker(play.answer))
    await agent.run(play.task, store=store, run_id="r")
    stricter = agent.replace(architecture=ActorCritic(critic="Look for what is wrong, missing or unproven. Be strict."))
    with pytest.raises(GraphChangedError):
        await stricter.resume("r", store=store)


def test_hooks_of_the_agent_see_what_its_roles_are_asked() -> None:
    seen: list[str] = []

    def look(request: ModelRequest, ctx: Context) -> None:
        seen.append(role_of(request))

    play = PLAYS["self_refine"]
    way = SelfRefine(max_rounds=4, critic_model=Speaker(play.answer))
    agent = play.agent(Speaker(play.answer)).replace(architecture=way, hooks=Hooks(before_model=look))
    assert agent.run_sync(play.task).output == play.output
    assert seen == ["agent", "agent", "critic", *["refiner", "critic"] * 3]


def test_a_role_has_the_settings_of_the_agent_unless_it_has_a_model_of_its_own() -> None:
    agent = Agent("x", ScriptedModel(["1"]), temperature=0.5, max_tokens=9, repairs=0)
    same = role(agent, "r", "Say.", input=str, output=int, prompt=lambda value: value)
    own = role(agent, "r", "Say.", input=str, output=int, prompt=lambda value: value, model=ScriptedModel(["1"]))
    for made, temperature in ((same, 0.5), (own, None)):
        result = made.run_sync("?")
        assert result.output == 1
        model = made.model
        assert isinstance(model, ScriptedModel)
        assert (model.requests[0].temperature, made.repairs, made.tools) == (temperature, 0, ())


async def test_what_is_done_is_noted_with_what_it_was_given() -> None:
    async def note(given: str, answer: str) -> Pair:
        return Pair(left=len(given), right=len(answer))

    wf = Workflow("twice", input=str, output=str)
    wf.chain(START, wf.node(lambda text: text * 2, name="double"), END)
    graph = noted("note", wf.compile(), note, takes=str, gives=Pair, answer=str, called="part")
    result = await graph.run("abc")
    assert result.output == Pair(left=3, right=6)
    assert [record.key for record in result.activations] == ["part", "part/double", "note"]


def test_a_part_is_an_architecture_or_its_name_or_a_graph() -> None:
    agent = Agent("x", ScriptedModel(["a", "b"]), instructions="Be brief.")
    for does in ("react", Agent("y", ScriptedModel(["c"])), Workflow("w", input=str, output=str)):
        if isinstance(does, Workflow):
            does.chain(START, does.node(lambda text: text, name="same"), END)
        assert part(does, agent, "p").__loomgraph_embed__().definition.name in ("p", "y", "w")
    nobody: Any = object()
    with pytest.raises(DefinitionError, match="cannot do the part 'p'"):
        part(nobody, agent, "p")
    with pytest.raises(DefinitionError, match=r"there is no architecture 'reakt'\. Did you mean 'react'\?"):
        part("reakt", agent, "p").__loomgraph_embed__()


def test_a_part_that_takes_text_alone_refuses_pictures_rather_than_lose_them() -> None:
    wf = Workflow("echo", input=str, output=str)
    wf.chain(START, wf.node(lambda text: text, name="same"), END)
    told_to = told_part(
        wf, Agent("x", "echo"), "p", takes=str, prompt=lambda value: user(value, Image(url="https://e.org"))
    )
    graph: Any = Workflow("outer", input=str, output=str)
    graph.chain(START, graph.node(told_to), END)
    with pytest.raises(Exception, match="takes text, and the task has pictures"):
        graph.compile().run_sync("?")


def test_architectures_by_name_work_wherever_agents_do() -> None:
    evaluated = {"score": 1, "reason": ""}
    inner = Agent("inner", ScriptedModel(["inner answer", evaluated]), architecture="reflexion")
    outer = Agent(
        "outer", ScriptedModel(["dear me", {"feedback": "", "score": 1, "stop": True}]), architecture="self-refine"
    )
    wf = Workflow("both", input=str, output=list[str])
    wf.edge(START, wf.node(inner))
    wf.edge(START, wf.node(outer))
    wf.join(["inner", "outer"], into=END)
    assert wf.compile().run_sync("Go.").output == ["inner answer", "dear me"]

    boss = Agent(
        "boss", ScriptedModel([{"kind": "no"}]), tools=[inner.replace(model=ScriptedModel(["deep", evaluated]))]
    )
    assert boss.tools[0].name == "inner"


def test_an_architecture_of_an_architecture_of_an_architecture_is_drawn_and_runs() -> None:
    good = {"score": 1, "reason": ""}
    stop = {"feedback": "", "score": 1, "stop": True}
    fine = {"score": 1, "issues": [], "summary": ""}
    way = Reflexion(base=ActorCritic(base=SelfRefine()))
    agent = Agent("deep", ScriptedModel(["d", stop, fine, good]), architecture=way)
    result = agent.run_sync(f"Do {HARSH}")
    assert result.output == "d"
    assert "attempt#0/base/act#0/actor/draft/base/model" in [record.key for record in result.activations]
    assert agent.to_mermaid().count('["model"]') == 1 + 2 + 1 + 2


def content(request: ModelRequest) -> Any:
    """What any role may say that is content with everything."""
    match request.output and request.output.name:
        case "Critique":
            return {"feedback": "", "score": 1, "stop": True}
        case "Review":
            return {"score": 1, "issues": [], "summary": ""}
        case "Evaluation" | "Appraisal":
            return {"score": 1, "reason": ""}
        case "Proposals":
            return {"thoughts": ["a step"]}
        case _:
            return "Ada."


@pytest.mark.parametrize("way", ["self-refine", "actor-critic", "reflexion", "multi-agent-debate", "tree-of-thoughts"])
async def test_a_session_goes_on_with_what_was_asked_and_answered(way: str, tmp_path: Path) -> None:
    store = f"sqlite:{tmp_path / 'runs.db'}"
    model = Speaker(content)
    agent = Agent("friend", model, architecture=way)
    for question in ("Who wrote {it}?", "When was she born?", "And where?"):
        assert (await agent.run(question, store=store, session_id="s")).output == "Ada."
    per_run = len(model.requests) // 3
    for request in model.requests[2 * per_run :]:
        said_before = "\n".join(str(message) for message in request.messages)
        assert all(text in said_before for text in ("Who wrote {it}?", "Ada.", "When was she born?", "And where?"))

    wf = Workflow("shout", input=str, output=str)
    wf.chain(START, wf.node(lambda text: "Ada.", name="loud"), END)
    deaf = Agent("friend", model, architecture=SelfRefine(base=wf))
    with pytest.raises(DefinitionError, match="session"):
        await deaf.run("And?", store=store, session_id="s")


def test_input_that_is_a_message_or_a_model_is_shown_to_every_role() -> None:
    stop = {"feedback": "", "score": 1, "stop": True}
    model = ScriptedModel(["d", stop])
    agent: Agent[Any, Any] = Agent("x", model, input=Pair, architecture="self-refine")
    agent.run_sync(Pair(left=1, right=2))
    assert all('"left": 1' in said(request) for request in model.requests)
    model = ScriptedModel(["d", stop])
    either: Agent[Any, Any] = Agent("x", model, input=str | UserMessage, architecture="self-refine")
    either.run_sync(user("a", "b"))
    assert said(model.requests[1]).startswith("<task>\nab\n</task>")
