# SPDX-License-Identifier: Apache-2.0
"""`patch status` for a large queue: 250 patches on 9 releases of Bigtop, on two cores.

- cold: nothing in the cache and no evidence; under 60 s.
- warm: evidence is there and holds; under 3 s.
- one cell: one patch tried on one release that is loaded, and the same with its tree written; median under 50 ms.

200 patches are made up, from a seed, of lines of the releases' own files; 50 are commits of Bigtop's history. Each
recipe lists those that are made of it. All of it is thrown away at the end. Run as
`BIGTOP_GIT=<clone of apache/bigtop> .venv/bin/python benchmarks/status.py`.
"""

import difflib
import os
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.git_index import Index
from bigtop_builder.mirror import Mirror
from bigtop_builder.patches.apply import check, fits, touched
from bigtop_builder.run import Argument, run

HERE = Path(__file__).parents[1]
RELEASES = {
    "1.5.0": "79f0b3aba753d4633b7f63e517d89d8526faa516",
    "3.0.1": "9638ffdab494bd5529baa7e6622c2ffcd67088a2",
    "3.1.1": "f12481b4098c07ed8efaf3319ddf0eaba4ce4b41",
    "3.2.1": "5b6414ff0a6e7e98534b2f26fe1bc2bf60e6bca1",
    "3.3.0": "d44a5845eeffe6bab7037a3ca816cf3c9df44029",
    "3.4.0": "fedfe0834d74c85e4ed7fd75b41ec10bcce82aec",
    "3.5.0": "cadb1e432ee5c88c9afc8bb9b99fba558e148f18",
    "3.6.0-RC0": "19670ce6a3cc68833b7dd47697cd6272b66bb372",
    "3.7.0": "b59f837c20e9626b1c2d30ef6f82665c860cfede",
}
PATCHES, REAL, SEED, CORES = 250, 50, 5, 2
COLD, WARM, CELL = 60.0, 3.0, 0.050
RUNS, CELLS = 3, 200
SHORTEST, ENOUGH = 20, 0.6
"""Lines of a file that is changed; chance that no further one is."""
MAIL = """From {zero} Mon Sep 17 00:00:00 2001
From: Nobody <nobody@example.org>
Date: Mon, 2 Nov 2026 10:00:00 +0000
Subject: [PATCH] {title}

Made up for a benchmark.
---
"""
FACTS = """kind = "tree"
title = "{title}"
why = "A benchmark needs it"
drop-when = "never"

[upstream]
state = "to-forward"
"""


@dataclass(frozen=True)
class Made:
    """A patch of the benchmark: its name, its diff, and the release that it is made of, empty for a real commit."""

    name: str
    diff: bytes
    release: str


def git(clone: Path, *words: str, check: bool = True) -> bytes:
    return run(["git", "-C", clone, *words], env={"GIT_CONFIG_GLOBAL": "/dev/null"}, check=check).stdout


def synthetic(clone: Path, dice: random.Random, number: int) -> Made:
    """One to three files of a release with one or two changed lines each."""
    release = dice.choice(list(RELEASES))
    listed = git(clone, "ls-tree", "-r", "--name-only", RELEASES[release], "bigtop-packages", "build.gradle")
    parts: list[str] = []
    for path in dice.sample(listed.decode().splitlines(), 12):
        content = git(clone, "show", f"{RELEASES[release]}:{path}")
        if b"\0" in content or b"\r" in content or not content.isascii() or content.count(b"\n") < SHORTEST:
            continue
        old = content.decode().splitlines(keepends=True)
        if not old[-1].endswith("\n"):
            continue
        new = list(old)
        for at in dice.sample(range(len(old)), dice.randint(1, 2)):
            new[at] = f"{old[at].rstrip()} # {number}\n"
        parts += [f"diff --git a/{path} b/{path}\n"]
        parts += difflib.unified_diff(old, new, f"a/{path}", f"b/{path}")
        if dice.random() < ENOUGH:
            break
    title = f"Change {number} of {release}"
    text = MAIL.format(zero="0" * 40, title=title) + "".join(parts)
    return Made(f"made-{number:03}", text.encode(), release) if parts else synthetic(clone, dice, number)


def real(clone: Path, dice: random.Random, count: int) -> list[Made]:
    """Commits of the history between 3.0.1 and 3.6.0 as patches; not those with binary files."""
    span = f"{RELEASES['3.0.1']}..{RELEASES['3.6.0-RC0']}"
    commits = git(clone, "rev-list", "--no-merges", span).decode().split()
    dice.shuffle(commits)
    words = ("format-patch", "-1", "--stdout", "--zero-commit", "--full-index", "--no-signature")
    made: list[Made] = []
    for commit in commits:
        diff = git(clone, *words, commit, check=False)  # a clone may lack its largest files
        if b"\nGIT binary patch" not in diff and b"\n@@ " in diff and len(made) < count:
            made.append(Made(f"commit-{commit[:12]}", diff, ""))
    return made


def lay_out(folder: Path, clone: Path, patches: Sequence[Made]) -> Path:
    project = folder / "project"
    text = (HERE / "recipes/3.5.0.toml").read_text()
    carried = (
        r"\[\[carry\]\]\n(?:.+\n)*|\[\[components\]\]\nname = \"oozie\"\n(?:(?!\[\[components\]\]\n).*\n)*"
    )
    template = re.sub(rf"^(?:patches = .*\n|{carried})", "", text, flags=re.MULTILINE)
    for made in patches:
        home = project / "patches/bigtop" / made.name
        home.mkdir(parents=True)
        (home / "default.patch").write_bytes(made.diff)
        (home / "patch.toml").write_text(FACTS.format(title=made.name))
    (project / "recipes").mkdir()
    for release, commit in RELEASES.items():
        listed = "".join(f'  "bigtop/{made.name}",\n' for made in patches if made.release == release)
        text = template.replace('release = "3.5.0"', f'release = "{release}"\npatches = [\n{listed}]', 1)
        text = text.replace("https://github.com/apache/bigtop.git", str(clone)).replace(
            RELEASES["3.5.0"], commit
        )
        (project / f"recipes/{release}.toml").write_text(text)
    return project


def seconds(folder: Path) -> float:
    """What a whole process takes: the interpreter's start is in it."""
    start = time.perf_counter()
    tool: list[Argument] = [sys.executable, "-m", "bigtop_builder", "--settings", folder / "settings.toml"]
    run([*tool, "--project", folder / "project", "patch", "status"])
    return time.perf_counter() - start


def cells(folder: Path, clone: Path, patches: Sequence[Made], dice: random.Random) -> tuple[float, float]:
    """Median seconds of trying one patch on a loaded release, and of loading its files, applying and writing."""
    mirror = Mirror(path=clone, url="")
    trials: list[float] = []
    whole: list[float] = []
    for release in RELEASES.values():
        with Index.temporary(mirror, folder / "objects") as index:
            some = dice.sample(list(patches), CELLS // len(RELEASES))
            index.load(release, frozenset[str]().union(*(touched(made.diff) for made in some)))
            trials += [timed(lambda made=made, at=index: fits(at, made.diff)) for made in some]
            whole += [
                timed(lambda made=made, at=index, tree=release: check(at, tree, made.diff)) for made in some
            ]
    return statistics.median(trials), statistics.median(whole)


def timed(work: object) -> float:
    assert callable(work)
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> int:
    given = os.environ.get("BIGTOP_GIT")
    if not given:
        print("BIGTOP_GIT names no clone of apache/bigtop", file=sys.stderr)
        return 2
    clone = Path(git(Path(given), "rev-parse", "--absolute-git-dir").decode().strip())
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    dice = random.Random(SEED)  # noqa: S311  # the same patches each time
    patches = [synthetic(clone, dice, number) for number in range(PATCHES - REAL)] + real(clone, dice, REAL)
    with tempfile.TemporaryDirectory(prefix="status-") as name:
        folder = Path(name)
        lay_out(folder, clone, patches)
        (folder / "settings.toml").write_text(f'cache_dir = "{folder}/cache"\n')
        cold = seconds(folder)
        warm = statistics.median(seconds(folder) for _ in range(RUNS))
        one, whole = cells(folder, clone, patches, dice)
    count = len(patches) * len(RELEASES)
    print(f"{len(patches)} patches on {len(RELEASES)} releases, {count} cells, {CORES} cores")
    print(f"cold: {cold:.1f} s (budget {COLD:.0f})")
    print(f"warm: {warm:.2f} s, median of {RUNS} (budget {WARM:.0f})")
    print(f"one cell: {one * 1000:.1f} ms tried, {whole * 1000:.1f} ms with its tree written (budget 50)")
    return int(cold > COLD or warm > WARM or max(one, whole) > CELL)


if __name__ == "__main__":
    sys.exit(main())
