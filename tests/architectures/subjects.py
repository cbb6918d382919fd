"""What is killed: the run of a play, whose model notes what it is paid for."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from loomgraph.models import ModelRequest
from loomgraph.testing.crash import Subject, note
from tests.architectures.stage import PLAYS, Speaker, said, told

__all__ = ["subject"]


def subject(name: str, dies: str = "", marker: str = "") -> Subject:
    """A run of the play of that name, whose model notes what it is paid for.

    Its process dies once, when a model is about to be asked by a request that shows the text `dies`; the file `marker`
    says that it has.
    """
    play = PLAYS[name]

    async def paid(request: ModelRequest) -> None:
        if dies and dies in f"{told(request)} {request.messages}" and not Path(marker).exists():
            Path(marker).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        note("model", f"{told(request)} {said(request)} {len(request.messages)}")

    return Subject(graph=play.agent(Speaker(play.answer, paid)).graph, value=play.task)
