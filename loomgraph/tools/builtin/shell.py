"""A shell as a tool. It may do what the user of this process may, so it is destructive: somebody has to allow it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from loomgraph.errors import DefinitionError, ToolError
from loomgraph.tools.builtin.confine import Confined
from loomgraph.tools.builtin.process import run_limited
from loomgraph.tools.tool import Tool, tool

__all__ = ["shell_tool"]


def shell_tool(
    root: str | Path,
    *,
    timeout: float = 120.0,
    cpu_seconds: int | None = None,
    memory_mb: int | None = None,
    file_mb: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Tool:
    """`bash`: runs a command in the directory `root` and gives its exit code and output.

    It is not confined to the directory. After `timeout` seconds it is killed with all it started; `cpu_seconds`,
    `memory_mb` and `file_mb` are limits for each process of it. It sees the search path, the locale and
    `environment`, and no other variable of this process. Each call is one of a kind (`effect="once"`): a crash in
    the middle of it is not simply followed by another try. Raises DefinitionError where there is no bash.
    """
    confined = Confined(root)
    program = shutil.which("bash")
    if program is None:
        raise DefinitionError("there is no bash on this machine; write a tool for the programs you have.")
    limits = [("-t", cpu_seconds), ("-v", memory_mb and memory_mb * 1024), ("-f", file_mb and file_mb * 1024)]
    if sys.platform == "win32" and any(value for _, value in limits):
        raise DefinitionError("limits of cpu, memory and file size are not kept on Windows; leave them out.")
    prologue = "".join(f"ulimit {flag} {value} || exit 126; " for flag, value in limits if value)

    @tool(effect="once", destructive=True)
    async def bash(command: str) -> str:
        """Run a bash command in the working directory; gives its output, and its exit code unless that is 0.

        Args:
            command: The command, which may have several lines. It has no terminal and no input.
        """
        done = await run_limited(
            [program, "-c", f'{prologue}exec "$0" -c "$1"', program, command],
            cwd=confined.root,
            seconds=timeout,
            environment={"HOME": str(confined.root), **(environment or {})},
        )
        if done.timed_out:
            raise ToolError(f"the command was killed after {timeout:g} s. It wrote:\n{done.text}")
        return done.text if done.code == 0 else f"{done.text}\n[exit code {done.code}]"

    return bash
