"""Claims about the commands: what they print where, and how they exit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

Loom = Callable[..., Any]
NO_TICKET = "graph 'triage' takes Ticket, and the input is not one:"


def test_version_prints_the_installed_version(loom: Loom) -> None:
    assert loom("--version").stdout == f"loomgraph {version('loomgraph-engine')}\n"


# ---------------------------------------------------------------- draw


@pytest.mark.parametrize("target", ["triage:wf", "triage.py", "numbers_:doubling"])
def test_draw_prints_mermaid(loom: Loom, target: str) -> None:
    done = loom("draw", target)
    assert done.exit_code == 0
    assert "flowchart" in done.stdout


def test_draw_writes_dot_to_a_file_called_so(loom: Loom, place: Path) -> None:
    done = loom("draw", "triage", "-o", "triage.dot")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "wrote triage.dot\n")
    assert (place / "triage.dot").read_text(encoding="utf-8").startswith("digraph")


@pytest.mark.parametrize(
    ("file", "begins"),
    [("t.svg", b"<svg "), ("t.png", b"\x89PNG"), ("t.txt", b"triage\n"), ("t.mmd", b"flowchart"), ("t", b"flowchart")],
)
def test_draw_writes_what_the_file_ends_in(loom: Loom, place: Path, file: str, begins: bytes) -> None:
    assert loom("draw", "triage", "-o", file).exit_code == 0
    assert (place / file).read_bytes().startswith(begins)


def test_draw_shows_a_run_of_a_store_without_its_workflow_and_as_what_happened_in_it(loom: Loom, place: Path) -> None:
    store = ["--store", "sqlite:runs.db"]
    given = '{"text": "charged twice", "amount": 40}'
    assert loom("run", "triage", "--input", given, "--run-id", "t", *store).exit_code == 0
    (place / "triage.py").rename(place / "gone.py")
    assert "✓" in loom("draw", "--run", "t", *store, "--format", "text").stdout
    assert loom("draw", "--run", "t", *store).stdout.startswith("flowchart")
    assert "critical path" in loom("draw", "--run", "t", *store, "--view", "timeline").stdout
    assert "time at work" in loom("draw", "--run", "t", *store, "--view", "flame").stdout
    assert loom("draw", "--run", "t", *store, "--view", "messages").stdout.startswith("sequenceDiagram")
    assert loom("draw", "--run", "t", *store, "--view", "timeline", "-o", "t.svg").exit_code == 0
    assert (place / "t.svg").read_text(encoding="utf-8").startswith("<svg ")
    assert "= the same" in loom("draw", "--run", "t", "--against", "t", *store, "--format", "text").stdout
    over = loom("draw", "gone", "--run", "t", *store, "--format", "text").stdout
    assert "START" in over
    assert "Ticket" in over


def test_draw_says_what_it_lacks(loom: Loom) -> None:
    for arguments, said in (
        ((), "draw what?"),
        (("triage", "--view", "timeline"), "are about a run"),
        (("--run", "t"), "which store?"),
    ):
        done = loom("draw", *arguments)
        assert done.exit_code == 2
        assert said in done.stderr


def test_draw_says_which_forms_a_view_has(loom: Loom) -> None:
    given = '{"text": "charged twice", "amount": 40}'
    loom("run", "triage", "--input", given, "--run-id", "t", "--store", "sqlite:runs.db")
    done = loom("draw", "--run", "t", "--store", "sqlite:runs.db", "--view", "flame", "--format", "dot")
    assert done.exit_code == 2
    assert "no form 'dot'. Use --format with one of: svg, png, text" in done.stderr


def test_an_agent_is_drawn_as_its_graph(loom: Loom, place: Path) -> None:
    (place / "helpers.py").write_text(
        "from loomgraph import Agent\nfrom loomgraph.models.scripted import ScriptedModel\n"
        "helper = Agent('helper', ScriptedModel([]))\n",
        encoding="utf-8",
    )
    for target in ("helpers:helper", "helpers"):
        assert '"model"' in loom("draw", target).stdout


def test_draw_refuses_a_file_that_says_no_format(loom: Loom, place: Path) -> None:
    done = loom("draw", "triage", "-o", "triage.pdf")
    assert done.exit_code == 2
    assert "'triage.pdf' says no format" in done.stderr
    assert not (place / "triage.pdf").exists()


@pytest.mark.parametrize(("form", "begins"), [("text", "triage\n"), ("svg", "<svg "), ("dot", "digraph")])
def test_draw_prints_the_format_asked_for(loom: Loom, form: str, begins: str) -> None:
    assert loom("draw", "triage", "--format", form).stdout.startswith(begins)


def test_draw_into_a_directory_that_is_not_there_says_so(loom: Loom) -> None:
    done = loom("draw", "triage", "-o", "missing/triage.mmd")
    assert done.exit_code == 2
    assert "cannot write 'missing" in done.stderr


# ---------------------------------------------------------------- check


def test_check_of_a_sound_workflow_exits_with_0(loom: Loom) -> None:
    done = loom("check", "triage")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == "workflow 'triage': sound, no findings"


def test_check_prints_every_finding_with_its_remedy_and_exits_with_1(loom: Loom) -> None:
    done = loom("check", "broken:wf")
    assert done.exit_code == 1
    assert "error [unknown-node] " in done.stdout
    assert "-> Did you mean 'first'?" in done.stdout
    assert " error" in done.stdout.splitlines()[-1]


def test_check_of_a_module_that_compiles_at_import_prints_the_same_findings(loom: Loom, place: Path) -> None:
    alone = loom("check", "broken:wf").stdout
    with (place / "broken.py").open("a", encoding="utf-8") as file:
        file.write("\ngraph = wf.compile()\n")
    del sys.modules["broken"]
    done = loom("check", "broken")
    assert (done.exit_code, done.stdout) == (1, alone)


def test_check_of_something_that_cannot_be_loaded_exits_with_2(loom: Loom) -> None:
    done = loom("check", "nothing_of_this_name")
    assert done.exit_code == 2
    assert done.stderr.startswith("error: there is no module 'nothing_of_this_name'")


# ---------------------------------------------------------------- run


def test_run_prints_the_output_as_json_on_stdout_and_progress_on_stderr(loom: Loom) -> None:
    done = loom("run", "triage", "--input", '{"text": "twice", "amount": 40}')
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout) == {"text": "40 € refunded"}
    assert "refund: done" in done.stderr
    assert "succeeded" in done.stderr.splitlines()[-1]


def test_run_reads_its_input_from_a_file_or_from_stdin(loom: Loom, place: Path) -> None:
    (place / "in.json").write_bytes(b'\xef\xbb\xbf{"text": "printer"}')
    from_file = loom("run", "triage", "-i", "@in.json", "-q")
    from_stdin = loom("run", "triage", "-i", "-", "-q", given='{"text": "printer"}')
    assert from_file.stdout == from_stdin.stdout == '{\n  "text": "looking at printer"\n}\n'
    assert from_file.stderr == from_stdin.stderr == ""


def test_run_of_a_failing_node_exits_with_1_and_its_message_without_a_traceback(loom: Loom) -> None:
    done = loom("run", "triage", "-i", '{"text": "fail", "amount": 1}')
    assert (done.exit_code, done.stdout) == (1, "")
    assert "node 'refund' failed" in done.stderr
    assert "the bank [is] closed" in done.stderr
    assert "Traceback" not in done.stderr


def test_traceback_shows_the_line_of_the_users_code_that_raised(loom: Loom) -> None:
    done = loom("run", "triage", "-i", '{"text": "fail", "amount": 1}', "--traceback")
    assert done.exit_code == 1
    assert 'raise RuntimeError("the bank [is] closed")' in done.stderr


def test_run_of_a_workflow_that_does_not_compile_exits_with_2(loom: Loom) -> None:
    done = loom("run", "broken", "-i", "1")
    assert done.exit_code == 2
    assert "does not compile" in done.stderr


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ('{"txt": "a"}', f"{NO_TICKET}\n  text: Field required"),
        ('{"text": 3}', f"{NO_TICKET}\n  text: Input should be a valid string"),
        ('{"text": "", "amount": "7"}', f"{NO_TICKET}\n  amount: Input should be a valid int"),
        ("{", f"{NO_TICKET}\n  input: Invalid JSON"),
        ("@none.json", "cannot read the input file 'none.json': No such file or directory."),
    ],
)
def test_a_wrong_input_exits_with_2_and_says_where_it_is_wrong(loom: Loom, given: str, message: str) -> None:
    done = loom("run", "triage", "--input", given)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {message}")


def test_a_missing_input_lists_the_fields_it_needs(loom: Loom) -> None:
    done = loom("run", "triage")
    assert done.exit_code == 2
    assert done.stderr == (
        "error: graph 'triage' takes Ticket. Give it with --input JSON, @file or - (stdin).\n"
        "Its fields: text: string, amount: integer (optional).\n"
    )


def test_an_unquoted_string_is_told_how_to_quote_itself(loom: Loom, place: Path) -> None:
    (place / "text.py").write_text(
        "from loomgraph import *\nwf = Workflow('text', input=str, output=str)\n"
        "@wf.node\ndef echo(text: str) -> str: return text\nwf.chain(START, echo, END)\n",
        encoding="utf-8",
    )
    assert loom("run", "text", "-i", "hello").stderr.endswith("""--input '"hello"'\n""")
    assert loom("run", "text", "-q", "-i", '"hello"').stdout == '"hello"\n'


def test_json_prints_the_whole_result_of_a_success_and_of_a_failure(loom: Loom) -> None:
    good = json.loads(loom("run", "triage", "--json", "-i", '{"text": "x"}').stdout)
    assert (good["status"], good["output"], good["error"]) == ("succeeded", {"text": "looking at x"}, None)
    assert {record["node"]: record["status"] for record in good["activations"]} == {
        "classify": "succeeded",
        "refund": "skipped",
        "diagnose": "succeeded",
    }
    done = loom("run", "triage", "--json", "-i", '{"text": "fail", "amount": 1}')
    bad = json.loads(done.stdout)
    assert (done.exit_code, bad["status"]) == (1, "failed")
    assert "the bank [is] closed" in bad["error"]


def test_events_prints_each_event_as_a_line_of_json_and_nothing_else(loom: Loom) -> None:
    done = loom("run", "triage", "--events", "-i", '{"text": "x"}')
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[0]["kind"] == "RunStarted"
    assert events[-1]["kind"] == "RunSucceeded"
    assert events[-1]["output"] == {"text": "looking at x"}
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert done.stderr == ""


def test_json_and_events_together_are_refused(loom: Loom) -> None:
    done = loom("run", "triage", "--events", "--json", "-i", '{"text": "x"}')
    assert (done.exit_code, done.stderr) == (2, "error: --json and --events both want stdout. Give one of them.\n")


def test_a_deadline_of_no_time_is_refused_and_a_limit_below_one_too(loom: Loom) -> None:
    assert loom("run", "triage", "-i", '{"text": "x"}', "--deadline", "0").exit_code == 2
    assert loom("run", "triage", "-i", '{"text": "x"}', "--limit", "0").exit_code == 2


def test_a_map_reports_its_items_together(loom: Loom) -> None:
    done = loom("run", "numbers_:square_wf", "-i", "[1, 2, 3]")
    assert json.loads(done.stdout) == [1, 4, 9]
    assert "square: 3 items" in done.stderr
    assert "square[0]" not in done.stderr


def test_an_output_without_a_json_form_is_an_error_not_a_repr(loom: Loom, place: Path) -> None:
    (place / "opaque.py").write_text(
        "from typing import Any\nfrom loomgraph import *\nwf = Workflow('opaque', input=None, output=Any)\n"
        "@wf.node\ndef make() -> Any: return range\nwf.chain(START, make, END)\n",
        encoding="utf-8",
    )
    done = loom("run", "opaque", "-q")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "has no JSON form" in done.stderr


# ---------------------------------------------------------------- the real command


@pytest.mark.parametrize("command", [[sys.executable, "-m", "loomgraph.cli"], ["script"]], ids=["module", "script"])
def test_the_installed_command_runs_a_workflow_in_a_process_of_its_own(place: Path, command: list[str]) -> None:
    if command == ["script"]:
        command = [str(Path(sys.executable).with_name("loomgraph"))]
    given = '{"text": "naïve", "amount": 3}'
    done = subprocess.run([*command, "run", "triage", "-i", given], cwd=place, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.decode()) == {"text": "3 € refunded"}
    assert b"succeeded" in done.stderr


def test_the_installed_command_says_what_is_wrong_in_one_line(place: Path) -> None:
    command = [sys.executable, "-m", "loomgraph.cli", "run", "triage:wff"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "error: 'triage' has no 'wff'. Did you mean 'wf'?\n")
