# SPDX-License-Identifier: Apache-2.0
"""The executor on this machine: what the cache has is taken from there, the rest is built, several at once."""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from bigtop_builder.cache import ResultCache
from bigtop_builder.cores import cores
from bigtop_builder.errors import BuilderError, EnvironmentMissing
from bigtop_builder.executor.board import Board
from bigtop_builder.executor.schedule import Schedule
from bigtop_builder.interrupt import finish, sigterm_unwinds
from bigtop_builder.machine import refusal_of
from bigtop_builder.plan import Plan, Step
from bigtop_builder.result import Result

log = logging.getLogger(__name__)


def obtain(plan: Plan, cache: ResultCache, *, hashed: Callable[[Step], bool]) -> dict[str, Result]:
    """The results that are there already, here or in the depot: component -> result.

    Args:
        plan: Says what is reused.
        cache: Has the results.
        hashed: Whether each file of a step's result is hashed first; one with a broken file is left out.
    """

    def one(step: Step) -> Result | None:
        return cache.obtain(step.id, step.stamp, hashed=hashed(step))

    pool = ThreadPoolExecutor(cores())
    try:
        found = list(pool.map(one, plan.steps))
    finally:
        finish(lambda: pool.shutdown(cancel_futures=True))
    return {step.name: result for step, result in zip(plan.steps, found, strict=True) if result}


def execute(
    steps: Sequence[Step],
    build: Callable[[Step], Result],
    *,
    schedule: Schedule,
    board: Board,
    stop: Callable[[], None],
    errors: Mapping[str, Exception] | None = None,
) -> dict[str, Result]:
    """Build steps, several at once, and return a result for each.

    What was built before a failure or an interruption stays in the cache, so a second run resumes there.

    Args:
        steps: Those of the schedule.
        build: Builds one component and keeps its result; called in threads.
        schedule: Says what may start when.
        board: Is told.
        stop: Makes all calls of `build` that wait for something end soon, by an exception.
        errors: What failed before the start: component -> why.

    Raises:
        BuilderError: Builds failed: what was built, what failed, and what was not started because of whom.
    """
    failed = dict(errors or {})
    for name in failed:
        schedule.end(name, failed=True)
    results: dict[str, Result] = {}
    pool = ThreadPoolExecutor(max(1, len(steps)))
    running: dict[Future[Result], str] = {}
    with sigterm_unwinds(), board.shown():
        try:
            while True:
                for step in schedule.start():
                    board.began(step)
                    running[pool.submit(build, step)] = step.name
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    name = running.pop(future)
                    _settle(name, future, results, failed)
                    schedule.end(name, failed=name in failed)
                    board.ended(name, results.get(name))
        except BaseException:
            log.info("ending %s", ", ".join(running.values()))
            finish(stop)
            raise
        finally:
            finish(lambda: pool.shutdown(cancel_futures=True))
    if failed:
        raise _summary({name: failed[name] for name in schedule.failed}, schedule)
    return results


def _settle(
    name: str, future: Future[Result], results: dict[str, Result], failed: dict[str, Exception]
) -> None:
    try:
        results[name] = future.result()
    except Exception as error:  # of another thread: all are raised in the end
        failed[name] = _in_words(name, error)
        log.debug("%s", name, exc_info=error)


def _in_words(name: str, error: Exception) -> Exception:
    """What the machine refused as an error that people read; others as they are."""
    told = refusal_of(error) if isinstance(error, OSError) else None
    return (
        EnvironmentMissing(f"{name}: {told.brief}", details=told.details, hint=told.hint) if told else error
    )


def _summary(failed: Mapping[str, Exception], schedule: Schedule) -> Exception:
    """The error of a run: that of the component if one failed, else of all; with what was built and what was not.

    A fault of ours is raised as it is, and what else failed is told before.
    """
    told = [error for error in failed.values() if isinstance(error, BuilderError)]
    if len(told) < len(failed):
        for error in told:
            log.error("%s", error)
        return next(error for error in failed.values() if not isinstance(error, BuilderError))
    rest = [f"built: {', '.join(schedule.built)}"] if schedule.built else []
    rest += [f"not started: {name}, because {cause} failed" for name, cause in schedule.not_started.items()]
    if len(told) == 1:
        (error,) = told
        brief, details = error.brief, [error.details.rstrip()]
    else:
        brief = f"{len(told)} components failed: {', '.join(failed)}"
        details = [f"{error.brief}\n{error.details.rstrip()}\nway out: {error.hint}\n" for error in told]
    lines = [part for part in (*details, *rest) if part]
    whole = type(told[0])(brief, details="\n".join(lines), hint=told[0].hint)
    whole.states = {
        **dict.fromkeys(schedule.built, "built"),
        **dict.fromkeys(schedule.failed, "failed"),
        **{name: f"not started, because {cause} failed" for name, cause in schedule.not_started.items()},
    }
    return whole
