"""One engine in a process of its own: takes orders as JSON lines on stdin, answers on stdout, measures nothing else.

A process for each engine keeps their heaps, imports and event loops apart, and lets the harness stop one that is too
slow. All of them wait while one runs.
"""

import asyncio
import gc
import importlib.metadata
import itertools
import json
import os
import sys
from typing import Any, TextIO

from benchmarks.engines import Engine, Job, UnsupportedError, load
from benchmarks.engines.base import perform
from benchmarks.workloads import BY_NAME

# seconds; below it a round repeats the run, so that a cold cache or a timer's tick does not decide a small one
LONG_ENOUGH = 0.02


class WrongError(Exception):
    """A run gave another result than the workload's."""


def main() -> None:
    """Serve orders until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not look like an answer
    try:
        engine = load(sys.argv[1])
    except ImportError as error:
        _say(answers, absent=str(error))
        return
    _say(answers, version=_version(engine))
    job: Job | None = None
    expected: Any = None
    name = ""
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if order["do"] == "prepare":
                job = None
                gc.unfreeze()
                gc.collect()
                name = order["workload"]
                job = engine.job(name, order["size"])
                expected = BY_NAME[name].expected(order["size"])
                gc.collect()
                gc.freeze()  # what was prepared is not what a round costs
                _say(answers, ready=True)
            else:
                assert job is not None
                _say(answers, seconds=_round(job, expected, amount=BY_NAME[name].amount))
        except WrongError as error:
            _say(answers, wrong=str(error))
        except UnsupportedError as reason:
            _say(answers, unsupported=str(reason))
        except Exception as error:  # whatever a peer raises is reported in its cell
            _say(answers, failed=f"{type(error).__name__}: {error}"[:300])


def _round(job: Job, expected: Any, *, amount: bool) -> float:
    """The mean seconds of as many repetitions as make a round long enough to measure; or the amount that a run says."""
    gc.collect()

    async def timed() -> float:
        spent = 0.0
        for repetition in itertools.count(1):
            result, seconds = await perform(job)
            if amount:
                result, seconds = result
            if result != expected:
                raise WrongError(f"result {result!r}, not {expected!r}")
            spent += seconds
            if amount or spent >= LONG_ENOUGH:
                return spent / repetition
        raise AssertionError("count() has no end")

    return asyncio.run(timed())


def _version(engine: Engine) -> str:
    if engine.distribution is None:
        return "Python " + ".".join(map(str, sys.version_info[:3]))
    try:
        return importlib.metadata.version(engine.distribution)
    except importlib.metadata.PackageNotFoundError:
        return "checkout"


def _say(answers: TextIO, **answer: Any) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
