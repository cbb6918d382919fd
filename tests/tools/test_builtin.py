"""Claims about the tools that come with the library: what they do, keep to, and say when they refuse."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from loomgraph.errors import DefinitionError, ToolError
from loomgraph.tools import Tool, ToolCall, order_calls
from loomgraph.tools.builtin import file_tools, http_tool, shell_tool
from loomgraph.tools.tool import check_tools

posix = pytest.mark.skipif(sys.platform == "win32", reason="links and process groups are POSIX's here")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    (root / "src").mkdir(parents=True)
    (root / "src" / "a.py").write_text("import os\nprint(os.name)\n", encoding="utf-8")
    (root / "notes.txt").write_text("".join(f"line {i}\n" for i in range(1, 11)), encoding="utf-8")
    (tmp_path / "secret.txt").write_text("secret\n", encoding="utf-8")
    return root


async def use(root: Path, name: str, **arguments: Any) -> Any:
    return await check_tools(file_tools(root))[name].call(arguments)


async def refusal(root: Path, name: str, **arguments: Any) -> str:
    with pytest.raises(ToolError) as caught:
        await use(root, name, **arguments)
    return str(caught.value)


@pytest.mark.anyio
async def test_a_file_is_read_whole_or_in_part(work: Path) -> None:
    assert await use(work, "read_file", path="src/a.py") == "import os\nprint(os.name)\n"
    assert await use(work, "read_file", path="notes.txt", start=9) == "line 9\nline 10\n"
    assert await use(work, "read_file", path="notes.txt", start=2, lines=1) == (
        "line 2\n\n[8 more lines; go on with start=3]"
    )
    assert "has 10 lines; line 11 is behind its end" in await refusal(work, "read_file", path="notes.txt", start=11)


@pytest.mark.anyio
async def test_a_file_is_written_whole_and_edited_in_one_place(work: Path) -> None:
    assert await use(work, "write_file", path="new/deep.txt", text="ä\r\nb\n") == "wrote 2 lines to new/deep.txt"
    assert (work / "new" / "deep.txt").read_bytes() == "ä\r\nb\n".encode()
    assert await use(work, "edit_file", path="notes.txt", old="line 3\n", new="") == "replaced 1 place in notes.txt"
    assert "line 3" not in (work / "notes.txt").read_text()
    assert "is in 'notes.txt' 9 times" in await refusal(work, "edit_file", path="notes.txt", old="line", new="x")
    assert await use(work, "edit_file", path="notes.txt", old="line", new="x", every=True) == (
        "replaced 9 places in notes.txt"
    )
    assert "the old text is not in 'notes.txt'" in await refusal(work, "edit_file", path="notes.txt", old="q", new="")
    assert "old is empty" in await refusal(work, "edit_file", path="notes.txt", old="", new="x")
    assert [path.name for path in work.rglob("*.tmp")] == []


@posix
@pytest.mark.anyio
async def test_an_edited_file_keeps_its_permissions(work: Path) -> None:
    (work / "src" / "a.py").chmod(0o750)
    await use(work, "edit_file", path="src/a.py", old="os.name", new="os.sep")
    assert (work / "src" / "a.py").stat().st_mode & 0o777 == 0o750


OUTSIDE = ["../secret.txt", "/etc/passwd", "src/../../secret.txt", "link", "loop/secret.txt"]


@posix
@pytest.mark.anyio
@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.parametrize("name", ["read_file", "write_file", "edit_file", "grep"])
async def test_nothing_outside_of_the_directory_can_be_named(work: Path, name: str, path: str) -> None:
    (work / "link").symlink_to(work.parent / "secret.txt")
    (work / "loop").symlink_to(work.parent)
    more: dict[str, Any] = {
        "read_file": {},
        "write_file": {"text": "x"},
        "edit_file": {"old": "secret", "new": "x"},
        "grep": {"pattern": "s"},
    }[name]
    assert "is outside of the directory" in await refusal(work, name, path=path, **more)
    assert (work.parent / "secret.txt").read_text() == "secret\n"


@posix
@pytest.mark.anyio
async def test_what_links_lead_to_outside_is_not_found_either(work: Path) -> None:
    (work / "link.txt").symlink_to(work.parent / "secret.txt")
    (work / "loop").symlink_to(work.parent)
    assert await use(work, "glob", pattern="**/*.txt") == ["notes.txt"]
    assert await use(work, "grep", pattern="secret") == []
    assert "no '..'" in await refusal(work, "glob", pattern="../*")
    assert "no '..'" in await refusal(work, "glob", pattern="/etc/*")


@posix
@pytest.mark.anyio
async def test_what_is_no_text_file_is_refused_by_what_it_is(work: Path) -> None:
    (work / "data.bin").write_bytes(b"\xff\xfe\x00")
    os.mkfifo(work / "pipe")
    (work / "round").symlink_to(work / "round")
    assert "is not UTF-8 text (byte 0)" in await refusal(work, "read_file", path="data.bin")
    assert "is a directory; list it with glob" in await refusal(work, "read_file", path="src")
    assert "there is no file 'nobody.txt'" in await refusal(work, "read_file", path="nobody.txt")
    assert "cannot be" in await refusal(work, "read_file", path="round")
    assert "is no regular file" in await refusal(work, "read_file", path="pipe")
    assert "is not a path" in await refusal(work, "read_file", path="a\x00b")


@pytest.mark.anyio
async def test_files_are_found_by_name_and_by_what_is_in_them(work: Path) -> None:
    assert await use(work, "glob", pattern="**/*") == ["notes.txt", "src/a.py"]
    assert await use(work, "grep", pattern=r"^line 1\d?$") == ["notes.txt:1: line 1", "notes.txt:10: line 10"]
    assert await use(work, "grep", pattern="OS", path="src", ignore_case=True) == [
        "src/a.py:1: import os",
        "src/a.py:2: print(os.name)",
    ]
    assert await use(work, "grep", pattern="import", names="*.txt") == []
    assert "is no regular expression" in await refusal(work, "grep", pattern="(")


def test_calls_on_one_file_keep_their_order_however_it_is_written(work: Path) -> None:
    tools = check_tools(file_tools(work))
    calls = [
        ToolCall(id="1", name="write_file", arguments={"path": "a.txt", "text": "1"}),
        ToolCall(id="2", name="read_file", arguments={"path": "./src/../a.txt"}),
        ToolCall(id="3", name="read_file", arguments={"path": "notes.txt"}),
        ToolCall(id="4", name="edit_file", arguments={"path": str(work / "a.txt"), "old": "1", "new": "2"}),
        ToolCall(id="5", name="grep", arguments={"pattern": "2"}),
    ]
    assert [call.after for call in order_calls(calls, tools)] == [(), (0,), (), (0, 1), (3,)]


def test_read_only_leaves_the_writing_tools_out(work: Path) -> None:
    assert [tool.name for tool in file_tools(work, read_only=True)] == ["read_file", "glob", "grep"]
    with pytest.raises(NotADirectoryError):
        file_tools(work / "notes.txt")
    with pytest.raises(FileNotFoundError):
        file_tools(work / "nowhere")


# ---------------------------------------------------------------------- the shell


async def sh(tool: Tool, command: str) -> str:
    return str(await tool.call({"command": command}))


@posix
@pytest.mark.anyio
async def test_a_command_runs_in_the_directory_and_says_how_it_ended(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    bash = shell_tool(work, environment={"GREETING": "hello"})
    assert bash.destructive
    assert bash.effect == "once"
    assert await sh(bash, "pwd; ls") == f"{work}\nnotes.txt\nsrc\n"
    assert await sh(bash, "echo out; echo err >&2; exit 3") == "out\nerr\n\n[exit code 3]"
    assert await sh(bash, "echo $GREETING") == "hello\n"
    assert "secret" not in await sh(bash, "env")
    assert await sh(bash, 'cat; echo "it\'s $HOME"') == f"it's {work}\n"


@posix
@pytest.mark.anyio
async def test_a_command_that_takes_too_long_is_killed_with_all_it_started(work: Path) -> None:
    bash = shell_tool(work, timeout=0.5)
    with pytest.raises(ToolError, match=r"was killed after 0\.5 s"):
        await sh(bash, f"sleep 100 & echo $! > {work}/pid; echo begun; wait")
    pid = int((work / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        while True:  # a killed process is there until it has been reaped
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").exists() and " Z " in Path(f"/proc/{pid}/stat").read_text():
                raise ProcessLookupError


@posix
@pytest.mark.anyio
async def test_limits_and_long_output_are_kept_in_bounds(work: Path) -> None:
    bash = shell_tool(work, file_mb=1)
    assert "exit code" in await sh(bash, "head -c 3000000 /dev/zero > big")
    assert (work / "big").stat().st_size <= 1024 * 1024
    text = await sh(shell_tool(work), "head -c 5000000 /dev/zero | tr '\\0' x; echo end")
    assert "bytes left out" in text
    assert text.endswith("end\n")
    assert len(text) < 1_100_000


# ---------------------------------------------------------------------- HTTP


def respond(request: Any) -> Any:
    httpx2: Any = pytest.importorskip("httpx2")
    pages: Mapping[str, Any] = {
        "/": httpx2.Response(200, text="hello"),
        "/moved": httpx2.Response(302, headers={"location": "/"}),
        "/away": httpx2.Response(302, headers={"location": "http://169.254.169.254/latest/meta-data"}),
        "/round": httpx2.Response(302, headers={"location": "/round"}),
        "/big": httpx2.Response(200, content=b"x" * 2_000),
        "/gone": httpx2.Response(410, text="not here"),
    }
    return pages[request.url.path]


@pytest.mark.anyio
async def test_only_the_named_hosts_are_reached_wherever_a_redirect_points() -> None:
    httpx2: Any = pytest.importorskip("httpx2", reason="fetch needs httpx2 (extra http)")
    fetch = http_tool(["example.com", "localhost:8000"], most_bytes=1_000, transport=httpx2.MockTransport(respond))
    assert await fetch.call({"url": "https://example.com/moved"}) == "hello"
    assert await fetch.call({"url": "http://localhost:8000/"}) == "hello"
    for url, message in {
        "http://example.com/away": "'169.254.169.254' may not be reached",
        "http://example.org/": "'example.org' may not be reached",
        "http://localhost/": "'localhost' may not be reached",
        "http://user:pw@example.com/": "may not be reached",
        "file:///etc/passwd": "no http or https address",
        "http://example.com/round": "more than 5 redirects",
        "http://example.com/big": "more than 1000 bytes",
        "http://example.com/gone": "answered 410: not here",
        "http://[::1": "is no address",
    }.items():
        with pytest.raises(ToolError) as caught:
            await fetch.call({"url": url})
        assert message in str(caught.value), url


def test_no_hosts_no_tool() -> None:
    with pytest.raises(DefinitionError, match="name the hosts"):
        http_tool([])
