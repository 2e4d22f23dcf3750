# SPDX-License-Identifier: Apache-2.0
"""How long `bigtop-builder --help` takes: the median of 10 runs, after one that warms the disk cache.

Run as `.venv/bin/python benchmarks/startup.py`. Its budget is 0.25 s.
"""

import statistics
import sys
import time

from bigtop_builder.run import run

RUNS = 10
BUDGET = 0.25


def seconds() -> float:
    start = time.perf_counter()
    run([sys.executable, "-m", "bigtop_builder", "--help"])
    return time.perf_counter() - start


def main() -> int:
    seconds()
    taken = [seconds() for _ in range(RUNS)]
    median = statistics.median(taken)
    print(
        f"bigtop-builder --help: median {median:.3f} s of {RUNS} runs, {min(taken):.3f} to {max(taken):.3f} s"
    )
    return int(median > BUDGET)


if __name__ == "__main__":
    sys.exit(main())
