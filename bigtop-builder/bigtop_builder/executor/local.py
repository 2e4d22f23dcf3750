# SPDX-License-Identifier: Apache-2.0
"""The executor on this machine: one component after the other, in the plan's order."""

import logging
from collections.abc import Callable, Sequence

from bigtop_builder.cache import Result, ResultCache
from bigtop_builder.plan import Plan, Step

log = logging.getLogger(__name__)


def execute(plan: Plan, cache: ResultCache, build: Callable[[Step], Result]) -> Sequence[Result]:
    """Carry out a plan and return a result for each of its steps, in order.

    Args:
        plan: Ready: no step of it is refused.
        cache: Has the results that the plan reuses.
        build: Builds one component and keeps its result.

    Raises:
        InputError: A step is refused.
        BuildError: A build failed; what was built before it stays in the cache, so a second run resumes there.
    """
    plan.require_ready()
    results = []
    for number, step in enumerate(plan.steps, 1):
        result = cache.get(step.id, step.stamp)
        if result is None:
            log.info(
                "[%d/%d] %s %s-%s: %s",
                number,
                len(plan.steps),
                step.name,
                step.version,
                step.stamp,
                step.reason,
            )
            result = build(step)
            log.info(
                "[%d/%d] %s: %d packages in %.0f s",
                number,
                len(plan.steps),
                step.name,
                len(result.debs),
                result.seconds,
            )
        results.append(result)
    return results
