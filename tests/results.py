# SPDX-License-Identifier: Apache-2.0
"""Results of builds that never were."""

from collections.abc import Mapping
from pathlib import Path

from bigtop_builder.cache import ResultCache
from bigtop_builder.manifest import ImageRecord
from bigtop_builder.plan import Step
from bigtop_builder.result import LOG, Result, describe
from bigtop_builder.survey import Survey

STEP, OTHER = "a" * 64, "b" * 64
STAMP = "1+bt1.0.0.1~deb12"
DEB = "salute_1.0.0_all.deb"


def put(
    cache: ResultCache,
    *,
    step: str = STEP,
    stamp: str = STAMP,
    payload: str | bytes = "a package\n",
    more: Mapping[str, str] | None = None,
) -> Result:
    """Put a result of a package, a log and more files."""
    with cache.making() as folder:
        for name, content in {DEB: payload, LOG: "a log\n", **(more or {})}.items():
            (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        result = Result(
            recipe="1.0.0-deb12",
            component="salute",
            version="1.0.0",
            stamp=stamp,
            step=step,
            inputs={"packaging": "1"},
            source=None,
            image=ImageRecord(name="an image"),
            seconds=1.5,
            files=describe(folder),
        )
        return cache.put(folder, result)


def result_of(road: Survey, step: Step, folder: Path, *, image: ImageRecord | None = None) -> Result:
    """What a build of a step would say of the files that it left."""
    return Result(
        recipe=road.recipe.id,
        component=step.name,
        version=step.version,
        stamp=step.stamp,
        step=step.id,
        inputs=dict(step.inputs),
        parts={name: dict(part) for name, part in step.parts.items()},
        source=None,
        image=image or ImageRecord(name=road.image),
        seconds=1.0,
        files=describe(folder),
    )
