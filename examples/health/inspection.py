"""The graph that looks at one file: read it, check it as any text and as what it is, put both together."""

from __future__ import annotations

from dataclasses import dataclass

from examples.health.config import check_config
from examples.health.markdown import check_markdown
from examples.health.models import (
    ConfigText,
    Details,
    FileReport,
    Hygiene,
    MarkdownText,
    OtherText,
    PythonText,
    Skipped,
    SourceFile,
    Text,
)
from examples.health.python_code import check_python
from examples.health.reading import ChangedWhileReadError, SimulatedFlakeError, read_file, simulate_flake
from examples.health.text import check_text
from loomgraph import END, START, Context, Retry, Workflow

__all__ = ["Settings", "graph", "wf"]


@dataclass(frozen=True)
class Settings:
    """What a run may be given with `deps=`: the share (0 to 1) of files whose first read fails on purpose."""

    flake: float = 0.0


wf = Workflow("inspect", input=SourceFile, output=FileReport, doc="What there is to say of one file by itself.")


@wf.node(retry=Retry(attempts=3, delay=0.05, on=(ChangedWhileReadError, SimulatedFlakeError)))
def read(
    file: SourceFile, ctx: Context[None, Settings | None]
) -> PythonText | MarkdownText | ConfigText | OtherText | Skipped:
    """Tries again when the file changed meanwhile. A file that cannot be opened fails at once."""
    if ctx.deps is not None:
        simulate_flake(file.name, ctx.attempt, ctx.deps.flake)
    return read_file(file)


@wf.node
def check_other(source: OtherText) -> Details:
    """Nothing is known about this kind of file."""
    return Details(kind="other")


@wf.node
def skip(skipped: Skipped) -> FileReport:
    """A file that is counted and not looked at."""
    return FileReport(name=skipped.file.name, kind="skipped", size=skipped.size, skipped=skipped.reason)


@wf.node
def assemble(text: Text, hygiene: Hygiene, details: Details) -> FileReport:
    """One report from what was found on both ways."""
    return FileReport(
        name=text.file.name,
        kind=details.kind,
        size=text.size,
        lines=hygiene.lines,
        problems=(*text.problems, *details.problems, *hygiene.problems),
        functions=details.functions,
        imports=details.imports,
        links=details.links,
        anchors=details.anchors,
        paragraphs=hygiene.paragraphs,
    )


wf.edge(START, read)

# one way for every text, and beside it the one for its kind: an edge is taken if its type matches
wf.edge(read, check_text, when=Text)
wf.edge(read, check_python, when=PythonText)
wf.edge(read, check_markdown, when=MarkdownText)
wf.edge(read, check_config, when=ConfigText)
wf.edge(read, check_other, when=OtherText)
wf.edge(read, skip, when=Skipped)

# one kind is taken and the others are skipped, so for `details` they are alternatives
wf.join(
    {
        "text": read.when(Text),
        "hygiene": check_text,
        "details": [check_python, check_markdown, check_config, check_other],
    },
    into=assemble,
)
wf.edge(assemble, END)
wf.edge(skip, END)

graph = wf.compile()
