# SPDX-License-Identifier: Apache-2.0
"""Steps start once what they need is built, as far as memory and processors reach; a failure stops what it must."""

import errno
import threading
import time
from collections.abc import Callable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigtop_builder.errors import BuilderError, BuildError, SourceError
from bigtop_builder.executor.board import Board
from bigtop_builder.executor.local import execute
from bigtop_builder.executor.schedule import Capacity, Schedule
from bigtop_builder.manifest import ImageRecord
from bigtop_builder.plan import Step
from bigtop_builder.recipe import Component
from bigtop_builder.result import LOG, Result, ResultFile

LARGE = Capacity(memory_mb=1 << 20, cpus=64)
STACK = {
    "zookeeper": (),
    "hadoop": ("zookeeper",),
    "hbase": ("hadoop", "zookeeper"),
    "hive": ("hadoop", "hbase"),
    "spark": ("hadoop",),
    "kafka": ("zookeeper",),
}


def step(name: str, after: Sequence[str] = (), *, memory_mb: int = 1024, cpus: int = 1) -> Step:
    return Step(
        component=Component(name=name, memory_mb=memory_mb, cpus=cpus),
        id="a" * 64,
        inputs={},
        parts={},
        version="1.0",
        stamp="1",
        serial=1,
        source=None,
        after=tuple(after),
        action="run",
        reason="not built yet",
    )


def stack(needs: Mapping[str, Sequence[str]] = STACK) -> list[Step]:
    return [step(name, after) for name, after in needs.items()]


def names(steps: Sequence[Step]) -> list[str]:
    return [one.name for one in steps]


def result_of(one: Step) -> Result:
    return Result(
        recipe="1.0-deb12",
        component=one.name,
        version=one.version,
        stamp=one.stamp,
        step=one.id,
        inputs={},
        source=None,
        image=ImageRecord(name="an image"),
        seconds=0.0,
        files=(ResultFile(file=LOG, size=0, sha256="0" * 64),),
    )


def test_what_needs_nothing_starts_first_and_dependents_follow() -> None:
    schedule = Schedule(stack(), LARGE)
    assert names(schedule.start()) == ["zookeeper"]
    assert schedule.start() == []
    schedule.end("zookeeper")
    assert names(schedule.start()) == ["hadoop", "kafka"]
    schedule.end("hadoop")
    assert schedule.waits_for("hive") == ("hbase",)
    assert names(schedule.start()) == ["hbase", "spark"]


def test_what_is_there_already_is_waited_for_by_nobody() -> None:
    schedule = Schedule([step("hive", ("hadoop", "hbase"))], LARGE)
    assert names(schedule.start()) == ["hive"]


def test_memory_processors_and_jobs_bound_what_runs_at_once() -> None:
    steps = [step(name, memory_mb=4096, cpus=2) for name in "abcd"]
    for capacity in (
        Capacity(memory_mb=8192, cpus=64),
        Capacity(memory_mb=1 << 20, cpus=5),
        Capacity(memory_mb=1 << 20, cpus=64, jobs=2),
    ):
        schedule = Schedule(steps, capacity)
        assert names(schedule.start()) == ["a", "b"]
        schedule.end("a")
        assert names(schedule.start()) == ["c"]


def test_a_small_one_runs_beside_a_large_one_that_has_to_wait() -> None:
    schedule = Schedule(
        [step("a", memory_mb=3000), step("large", memory_mb=4000), step("b", memory_mb=1000)],
        Capacity(memory_mb=4096, cpus=9),
    )
    assert names(schedule.start()) == ["a", "b"]


def test_what_needs_more_than_there_is_runs_alone() -> None:
    schedule = Schedule([step("huge", memory_mb=99_999), step("a")], Capacity(memory_mb=4096, cpus=4))
    assert names(schedule.start()) == ["huge"]
    schedule.end("huge")
    assert names(schedule.start()) == ["a"]


def test_a_failure_stops_what_depends_on_it_and_no_more_if_that_is_wished() -> None:
    schedule = Schedule(stack(), LARGE, keep_going=True)
    schedule.start()
    schedule.end("zookeeper")
    schedule.start()
    schedule.end("hadoop", failed=True)
    assert schedule.start() == []
    schedule.end("kafka")
    assert (schedule.built, schedule.failed) == (("zookeeper", "kafka"), ("hadoop",))
    assert schedule.not_started == {"hbase": "hadoop", "hive": "hadoop", "spark": "hadoop"}


def test_otherwise_nothing_starts_after_a_failure() -> None:
    schedule = Schedule([step("a"), step("b"), step("c")], Capacity(memory_mb=2048, cpus=9))
    assert names(schedule.start()) == ["a", "b"]
    schedule.end("a", failed=True)
    assert schedule.start() == []
    schedule.end("b")
    assert schedule.start() == []
    assert schedule.not_started == {"c": "a"}


@given(
    edges=st.lists(st.lists(st.integers(0, 9), max_size=3), min_size=1, max_size=10),
    memory=st.lists(st.integers(256, 9000), min_size=10, max_size=10),
    failing=st.sets(st.integers(0, 9)),
    keep_going=st.booleans(),
)
def test_every_step_ends_in_exactly_one_way_and_none_before_its_needs(
    edges: list[list[int]], memory: list[int], failing: set[int], keep_going: bool
) -> None:
    steps = [
        step(
            f"c{number}",
            [f"c{need}" for need in dict.fromkeys(needs) if need < number],
            memory_mb=memory[number],
        )
        for number, needs in enumerate(edges)
    ]
    schedule = Schedule(steps, Capacity(memory_mb=8192, cpus=3), keep_going=keep_going)
    running: list[Step] = []
    while True:
        running += schedule.start()
        if not running:
            break
        assert len(running) <= 3
        assert len(running) == 1 or sum(one.component.memory_mb for one in running) <= 8192
        ended = running.pop(0)
        assert set(ended.after) <= set(schedule.built)
        schedule.end(ended.name, failed=int(ended.name[1:]) in failing)
    ways = [*schedule.built, *schedule.failed, *schedule.not_started]
    assert sorted(ways) == sorted(one.name for one in steps)
    assert all(schedule.not_started.values())


class Builder:
    """Builds that take a moment; some fail."""

    def __init__(self, *failing: str, error: type[Exception] = BuildError) -> None:
        self._failing = failing
        self._error = error
        self._lock = threading.Lock()
        self._running: set[str] = set()
        self.together: set[frozenset[str]] = set()
        self.order: list[str] = []

    def __call__(self, one: Step) -> Result:
        with self._lock:
            self._running.add(one.name)
            self.together.add(frozenset(self._running))
            self.order.append(one.name)
        time.sleep(0.02)
        with self._lock:
            self._running.remove(one.name)
        if one.name in self._failing:
            raise self._error(f"{one.name}: gradle failed")
        return result_of(one)


def carry_out(
    steps: list[Step],
    build: Callable[[Step], Result],
    *,
    keep_going: bool = False,
    capacity: Capacity = LARGE,
    stop: Callable[[], None] = lambda: None,
    errors: Mapping[str, Exception] | None = None,
) -> dict[str, Result]:
    schedule = Schedule(steps, capacity, keep_going=keep_going)
    board = Board(steps, (), schedule)
    return execute(steps, build, schedule=schedule, board=board, stop=stop, errors=errors)


def test_builds_run_at_once_and_dependents_after_their_needs() -> None:
    build = Builder()
    assert sorted(carry_out(stack(), build)) == sorted(STACK)
    assert {"hadoop", "kafka"} in build.together
    for name, after in STACK.items():
        assert all(build.order.index(need) < build.order.index(name) for need in after)


def test_one_job_builds_one_after_the_other_in_the_plans_order() -> None:
    build = Builder()
    carry_out(stack(), build, capacity=Capacity(memory_mb=1 << 20, cpus=64, jobs=1))
    assert build.order == list(STACK)
    assert all(len(together) == 1 for together in build.together)


def test_a_failure_says_what_was_built_and_what_did_not_start() -> None:
    with pytest.raises(BuildError, match=r"^hadoop: gradle failed") as raised:
        carry_out(stack(), Builder("hadoop"), keep_going=True)
    assert raised.value.details.splitlines() == [
        "built: zookeeper, kafka",
        "not started: hbase, because hadoop failed",
        "not started: hive, because hadoop failed",
        "not started: spark, because hadoop failed",
    ]
    assert raised.value.states == {
        "zookeeper": "built",
        "hadoop": "failed",
        "kafka": "built",
        **dict.fromkeys(("hbase", "hive", "spark"), "not started, because hadoop failed"),
    }


def test_several_failures_are_all_told_with_the_exit_code_of_one() -> None:
    with pytest.raises(BuildError) as raised:
        carry_out(stack(), Builder("hadoop", "kafka"), keep_going=True)
    assert raised.value.brief == "2 components failed: hadoop, kafka"
    assert "kafka: gradle failed" in raised.value.details
    assert raised.value.exit_code == BuildError.exit_code


def test_what_failed_before_the_start_stops_its_dependents_alone() -> None:
    build = Builder()
    gone = {"hadoop": SourceError("hadoop's source cannot be had", hint="look")}
    with pytest.raises(SourceError, match="source cannot be had"):
        carry_out(stack(), build, keep_going=True, errors=gone)
    assert build.order == ["zookeeper", "kafka"]


class Refused(Builder):
    """One build fails as ever, and for the other the disk is full."""

    def __call__(self, one: Step) -> Result:
        if one.name == "kafka":
            raise OSError(errno.ENOSPC, "No space left on device", "/cache/x")
        return super().__call__(one)


def test_what_the_machine_refuses_one_build_hides_no_failure_of_others() -> None:
    with pytest.raises(BuilderError, match="2 components failed: hadoop, kafka") as raised:
        carry_out(stack(), Refused("hadoop"), keep_going=True)
    assert "hadoop: gradle failed" in raised.value.details
    assert "kafka: the disk is full: /cache/x" in raised.value.details
    assert raised.value.states["kafka"] == "failed"


def test_a_fault_of_ours_is_raised_and_failures_of_others_are_told_before(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Faulty(Builder):
        def __call__(self, one: Step) -> Result:
            if one.name == "kafka":
                raise KeyError("nothing")
            return super().__call__(one)

    with pytest.raises(KeyError, match="nothing"):
        carry_out(stack(), Faulty("hadoop"), keep_going=True)
    assert "hadoop: gradle failed" in caplog.text


def test_an_error_that_is_none_of_ours_is_raised_as_it_is_once_the_others_ended() -> None:
    build = Builder("a", error=OSError)
    with pytest.raises(OSError, match="gradle failed"):
        carry_out([step("a"), step("b")], build)
    assert build.order == ["a", "b"]


def test_an_interruption_ends_what_runs_before_it_goes_on() -> None:
    busy, stopped, ended = threading.Event(), threading.Event(), []

    def build(one: Step) -> Result:
        if one.name == "zookeeper":
            return result_of(one)
        busy.set()
        assert stopped.wait(10)
        ended.append(one.name)
        raise BuildError("its room was closed")

    class Interrupting(Board):
        def began(self, one: Step) -> None:
            super().began(one)
            if one.name == "kafka":
                assert busy.wait(10)
                raise KeyboardInterrupt

    steps = stack()
    schedule = Schedule(steps, LARGE)
    with pytest.raises(KeyboardInterrupt):
        execute(steps, build, schedule=schedule, board=Interrupting(steps, (), schedule), stop=stopped.set)
    assert ended == ["hadoop"]


def test_the_table_says_what_runs_what_is_done_and_who_waits_for_whom() -> None:
    steps = stack()
    schedule = Schedule(steps, LARGE, keep_going=True)
    board = Board(steps, ("bigtop-utils",), schedule)
    board._live = True
    schedule.start()
    board.began(steps[0])
    board.ended("zookeeper", result_of(steps[0]))
    schedule.end("zookeeper")
    schedule.start()
    board.began(steps[1])
    watch = board.watcher("hadoop")
    assert watch
    watch("[INFO] Building Apache Hadoop Common")
    cells = {cells[0]: cells[1:] for cells in map(board._cells, steps)}
    assert cells["zookeeper"] == ("done", "0 packages in 0 s")
    assert cells["hadoop"] == ("0 s", "[INFO] Building Apache Hadoop Common")
    assert cells["hive"] == ("waits", "for hadoop, hbase")
    board.ended("hadoop", None)
    schedule.end("hadoop", failed=True)
    assert board._cells(steps[1]) == ("hadoop", "failed", "in 0 s")
    assert board._cells(steps[3]) == ("hive", "left out", "because hadoop failed")
    assert board.table().row_count == 1 + len(steps)
