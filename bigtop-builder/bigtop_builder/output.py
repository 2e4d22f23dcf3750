# SPDX-License-Identifier: Apache-2.0
"""What lies in a release's output folder: packages and logs of one run, copied out of the cache.

They are copies, so that whoever changes one spoils nothing; one with size and time of the cache's file was made of
it.
"""

import logging
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from bigtop_builder.executor.failed import left_by_failures, log_of
from bigtop_builder.hashes import sha256_of
from bigtop_builder.plan import Plan, Step
from bigtop_builder.result import Result
from bigtop_builder.schema import counted
from bigtop_builder.survey import Survey

log = logging.getLogger(__name__)


def clear(survey: Survey, plan: Plan, results: Iterable[Result], *, whole: bool) -> None:
    """Take away what other runs left, before this one changes anything: what lies together is of one run, always.

    Logs of failures of what is not in the plan stay: somebody may be looking at them.

    Args:
        survey: The release.
        plan: What this run is about.
        results: Those that this run reuses: their packages and logs stay.
        whole: They are all that it takes; if they stand there already, so may what was said of them.
    """
    output = survey.output
    wanted = {path: origin for result in results for path, origin in _places(survey, result).items()}
    kept = {path for path, origin in wanted.items() if _same(path, origin)}
    debs = _files(output.debs)
    if whole and kept == wanted.keys() and debs <= kept:
        return
    said = [file for file in (output.verdict, output.smoke, output.manifest) if file.exists()]
    names = {step.name for step in plan.steps}
    kept.update(*(files for name, files in left_by_failures(output.logs).items() if name not in names))
    stale = [*said, *sorted((debs | _files(output.logs) | _files(output.smoke_logs)) - kept)]
    if stale:
        log.info("%s: taking away what another run left: %s", output.root, counted(len(stale), "file"))
    for path in stale:
        path.unlink()


def lay_out(survey: Survey, results: Sequence[Result], *, hashed: bool) -> None:
    """Copy the packages out of the cache; what is there already with size and time of the cache's is kept.

    Args:
        survey: The release.
        results: What was built.
        hashed: What is there is hashed, too.
    """
    survey.output.debs.mkdir(parents=True, exist_ok=True)
    survey.output.logs.mkdir(exist_ok=True)
    for result in results:
        hashes = {file.file: file.sha256 for file in result.files}
        for path, origin in _places(survey, result).items():
            if not _same(path, origin) or (hashed and sha256_of(path) != hashes[origin.name]):
                shutil.copy2(origin, path)


def stands(survey: Survey, step: Step) -> bool:
    """Whether a result is laid out, with size and time of what the cache has; False if there is none here."""
    result = survey.cache.get(step.id, step.stamp)
    return result is not None and all(_same(*pair) for pair in _places(survey, result).items())


def _places(survey: Survey, result: Result) -> dict[Path, Path]:
    """Where packages and log of a result are laid out -> where the cache has them."""
    folder, output = survey.cache.folder(result.step, result.stamp), survey.output
    places = {output.debs / file.file: folder / file.file for file in result.debs}
    return places | {log_of(output.logs, result.component): folder / result.log.file}


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.iterdir() if not path.is_dir()} if folder.is_dir() else set()


def _same(path: Path, origin: Path) -> bool:
    if not path.is_file():
        return False
    mine, theirs = path.stat(), origin.stat()
    return (mine.st_size, mine.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns)
