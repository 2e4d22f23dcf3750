# SPDX-License-Identifier: Apache-2.0
"""Counts how well "already upstream" is detected, on what upstream itself has carried from master to its releases.

Run as `BIGTOP_GIT=… [ZOOKEEPER_GIT=…] [OOZIE_GIT=…] .venv/bin/python benchmarks/detection.py`, with clones of the
Apache repositories. `--draw` draws the backports anew into `detection.txt`, where a line is the commit on a release
branch and the one on master that it came from.

Bigtop: each drawn change is made a patch to the release before the one that took it, by a three-way merge, and is
then looked for in all releases; one that conflicts there is taken as its branch has it, and told apart. The truth
is the release's content, read by other code than what is measured: it has a change that can be taken back from it
and not be made; it lacks one that can be made and not be taken back. Where neither can be done, it has it if all
lines that come are there and none that goes, and lacks it if none that comes is there. The rest is not clear from
content, and told apart by history: the commit, or one that says to be picked from it or has its subject with the
pull request's number, is there and was not taken back, or not. What is found there without such a commit is false
too. Found is what `patch status` calls `upstream`.

Components: Bigtop's own patches to ZooKeeper and Oozie are looked for in all releases of these. What is found
is false unless the commit names a ticket that the patch's file or subject names, or a reader judged it.
"""

import argparse
import itertools
import os
import random
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bigtop_builder.errors import InputError
from bigtop_builder.git_index import Index
from bigtop_builder.mirror import Mirror
from bigtop_builder.patches.apply import check
from bigtop_builder.patches.diff import parse_diff
from bigtop_builder.upstream.commits import Message, key_of, messages
from bigtop_builder.upstream.history import History
from bigtop_builder.upstream.landed import Detection, Landing, seek
from bigtop_builder.upstream.tags import tags_of

RELEASES = (
    *("release-1.4.0", "rel/1.5.0", "rel/3.0.1", "rel/3.1.1", "rel/3.2.1"),
    *("rel/3.3.0", "rel/3.4.0", "rel/3.5.0", "release-3.6.0-RC0"),
)
MASTER = "master"
DRAWN = Path(__file__).with_suffix(".txt")
SEED = 20261123
DRAW = 175
BEFORE = "made on the release before"
BRANCH = "as on the release's branch, as they conflict with the release before"
WORDS = {True: "has", False: "lacks", None: "not clear"}
COMMIT = {True: "its commit is there", False: "no commit", None: "a commit with its ticket"}
RECALL = 0.95
JUDGED = {"65996170ca9e3f55435c000377d6ed01a1339372": {"97e598b6c106", "7956f138a781"}}
"""Bigtop's patch (blob) -> commits that a reader found to make the same change: the patch names no ticket, and
both put the same builtin function in place of the same lines of assembler."""
TICKET = re.compile(r"[A-Z][A-Z0-9]+-\d+")
DIFF = ("diff-tree", "-p", "-r", "-M", "--full-index")


@dataclass(frozen=True, kw_only=True)
class Backport:
    """A commit on a release branch, and the one on master that it came from."""

    commit: str
    source: str


@dataclass(kw_only=True)
class Bigtop:
    """Bigtop's history, read once, by other code than the one that is measured."""

    mirror: Mirror
    said: dict[str, Message] = field(default_factory=dict)
    commits: dict[str, frozenset[str]] = field(default_factory=dict)
    tips: dict[str, str] = field(default_factory=dict)

    def read(self) -> None:
        for name in (*RELEASES, MASTER):
            tip = self.mirror.git("rev-parse", f"{name}^{{commit}}").text
            self.tips[name] = tip
            self.commits[name] = frozenset(self.mirror.git("rev-list", tip).text.split())
        self.said = {one.commit: one for one in messages(self.mirror, list(self.tips.values()), [])}

    def backports(self) -> list[Backport]:
        """Pairs known by `cherry picked from`, or by one commit of master with the same subject and number."""
        subjects: dict[str, list[str]] = {}
        for commit in self.commits[MASTER]:
            subjects.setdefault(self.said[commit].subject, []).append(commit)
        found = []
        for release in RELEASES:
            for commit in sorted(self.commits[release] - self.commits[MASTER]):
                said = self.said[commit]
                named = [one for one in said.picked if one in self.commits[MASTER]]
                alike = subjects.get(said.subject, []) if re.search(r"\(#\d+\)$", said.subject) else []
                sources = named or alike
                if len(sources) == 1 and len(said.parents) == 1:
                    found.append(Backport(commit=commit, source=sources[0]))
        return found

    def first_release(self, commit: str) -> str:
        return next(name for name in RELEASES if commit in self.commits[name])

    def said_so(self, source: str, pairs: Iterable[Backport], release: str) -> bool | None:
        """Whether a release's history has a change; None if only a commit with its ticket is there."""
        known = {source, *(pair.commit for pair in pairs if pair.source == source)}
        if there := known & self.commits[release]:
            return not any(self._taken_back(commit, release) for commit in there)
        said = self.said[source]
        names = said.tickets
        for commit in self.commits[release]:
            other = self.said[commit]
            if names & other.tickets or key_of(other.subject) == key_of(said.subject):
                return None
        return False

    def _taken_back(self, commit: str, release: str) -> bool:
        subject = self.said[commit].subject
        texts = (self.said[one].text for one in self.commits[release])
        return any(f"This reverts commit {commit}" in text or f'Revert "{subject}"' in text for text in texts)


def patch_on(index: Index, backport: Backport, base: str) -> bytes:
    """The change as a patch to another release; empty if it conflicts there, is there, or cannot be read."""
    before = f"{backport.source}^"
    listed = index("diff-tree", "-r", "-z", "--name-only", "--no-renames", before, backport.source).text
    paths = listed.rstrip("\0").split("\0")
    trees = []
    for commit in (before, base, backport.source):
        index.load(commit, paths)
        trees.append(index("write-tree", "--missing-ok").text)
    merged = index.merge(*trees)
    made = index(*DIFF, trees[1], merged.tree, check=False)  # it fails where the clone lacks a file
    return b"" if merged.conflicts or made.returncode else made.stdout


def make_patch(bigtop: Bigtop, index: Index, backport: Backport) -> tuple[str, bytes]:
    """How a backport was made a patch, and its diff; empty if it cannot be read."""
    first = RELEASES.index(bigtop.first_release(backport.commit))
    if first and (diff := patch_on(index, backport, bigtop.tips[RELEASES[first - 1]])):
        return BEFORE, diff
    made = index(*DIFF, f"{backport.commit}^", backport.commit, check=False)
    return BRANCH, b"" if made.returncode else made.stdout


def content(index: Index, diff: bytes, release: str) -> bool | None:
    """Whether a release's files have a change; None if they do not tell."""
    lines = changed_lines(diff)
    index.load(release, list(lines))
    does, undoes = (
        index("apply", "--cached", "--check", *way, "-", stdin=diff, check=False).returncode == 0
        for way in ((), ("--reverse",))
    )
    if does != undoes:
        return undoes
    if does:
        return None
    comes, goes = [], []
    for path, (removed, added) in lines.items():
        shown = index("cat-file", "blob", f":{path}", check=False)
        there = set(shown.stdout.split(b"\n")) if shown.returncode == 0 else set()
        comes += [line in there for line in added - removed]
        goes += [line not in there for line in removed - added]
    if all(comes) and all(goes):
        return True if comes or goes else None
    return None if any(comes or goes) else False


def applies(index: Index, diff: bytes, release: str) -> bool:
    """As `patch status` sees it; what it cannot read does not."""
    with suppress(InputError):
        return check(index, release, diff).state != "conflict"
    return False


def is_text(diff: bytes) -> bool:
    try:
        return bool(parse_diff(diff, source="a backport"))
    except InputError:
        return False


def changed_lines(diff: bytes) -> dict[str, tuple[set[bytes], set[bytes]]]:
    """Path -> the lines that go and those that come, blank ones left out."""
    found: dict[str, tuple[set[bytes], set[bytes]]] = {}
    for file in parse_diff(diff, source="a backport"):
        for path in filter(None, {file.old, file.new}):
            here = found.setdefault(path, (set(), set()))
            for line in (line.rstrip(b"\n") for hunk in file.hunks for line in hunk.lines):
                if line[:1] in (b"-", b"+") and line[1:].strip():
                    here[line[:1] == b"+"].add(line[1:])
    return found


def draw(bigtop: Bigtop, index: Index) -> list[Backport]:
    pool = bigtop.backports()
    random.Random(SEED).shuffle(pool)  # noqa: S311  # a sample, no secret
    single = {one.source: one for one in pool}.values()
    readable = (one for one in single if make_patch(bigtop, index, one)[1])
    drawn = list(itertools.islice(readable, DRAW))
    print(f"{len(drawn)} drawn of {len(pool)} backports")
    return drawn


def measure_bigtop(bigtop: Bigtop, drawn: Sequence[Backport], cache: Path) -> bool:
    start = time.perf_counter()
    with (
        History.of(bigtop.mirror, cache / "history") as history,
        Index.temporary(bigtop.mirror, cache / "objects") as index,
    ):
        history.include(*bigtop.tips.values())
        print(f"index of {len(bigtop.said)} commits: {time.perf_counter() - start:.1f} s")
        made = [make_patch(bigtop, index, one) for one in drawn]
        well = True
        for way in (BEFORE, BRANCH):
            all_so = [(one, diff) for one, (how, diff) in zip(drawn, made, strict=True) if how == way]
            some = [(one, diff) for one, diff in all_so if is_text(diff)]
            print(
                f"Bigtop, {len(all_so)} patches {way}; {len(all_so) - len(some)} are binary, which no queue takes:"
            )
            well &= search(bigtop, some, Detection(history, index), history, index)
    return well


def search(
    bigtop: Bigtop,
    patches: Sequence[tuple[Backport, bytes]],
    detection: Detection,
    history: History,
    index: Index,
) -> bool:
    """Look for patches in all releases, tell how well that went, and return whether it is good enough."""
    pairs = bigtop.backports()
    counts: Counter[str] = Counter()
    missed: set[str] = set()
    wrong = 0
    taken: list[float] = []
    start = time.perf_counter()
    sought = seek(history, [(diff, bigtop.said[one.source].subject) for one, diff in patches])
    for name in RELEASES:
        detection.prepare(sought, bigtop.tips[name])
    reading = time.perf_counter() - start
    for (one, diff), patch in zip(patches, sought, strict=True):
        for name in RELEASES:
            tip = bigtop.tips[name]
            start = time.perf_counter()
            landing = detection.find(patch, tip)
            taken.append(time.perf_counter() - start)
            proved = landing is not None and landing.stands and landing.certain
            got = proved and not applies(index, diff, tip)
            truth, commit = content(index, diff, tip), bigtop.said_so(one.source, pairs, name)
            found = "found" if got else "not found"
            counts[f"{WORDS[truth]}, {found}"] += 1
            counts[f"{WORDS[truth]}, {COMMIT[commit]}, {found}"] += 1
            counts["proved by history, and it applies"] += proved and not got
            if landing and got:
                counts[f"by {landing.by}"] += 1
            if got if truth is None and not commit else got is not truth and truth is not None:
                print(f"  {WORDS[truth]}, {COMMIT[commit]}, {found}: {one.source[:12]} in {name}: {landing}")
            wrong += got and (truth is False or (truth is None and commit is False))
            if truth and not got:
                missed.add(one.source)
    for word, count in sorted(counts.items()):
        print(f"  {word}: {count}")
    print(
        f"  patches and files read in {reading:.1f} s, {len(taken)} searches {sum(taken):.1f} s, "
        f"median {1000 * statistics.median(taken):.2f} ms, longest {1000 * max(taken):.0f} ms"
    )
    has = counts["has, found"] + counts["has, not found"]
    recall = counts["has, found"] / has
    print(f"  recall {100 * recall:.1f} % of {has}; false positives {wrong} of {len(taken) - has}")
    print(f"  patches found wherever they are: {len(patches) - len(missed)} of {len(patches)}")
    return recall >= RECALL and not wrong


def component_patches(bigtop: Mirror, component: str) -> dict[str, tuple[str, bytes]]:
    """Blob id -> file name and content of Bigtop's patches to a component, of all tags."""
    folder = f"bigtop-packages/src/common/{component}/"
    found: dict[str, tuple[str, bytes]] = {}
    for tag in tags_of(bigtop):
        for row in bigtop.git("ls-tree", "-z", tag.commit, folder).text.split("\0"):
            facts, _, path = row.partition("\t")
            if re.fullmatch(r"patch.*diff", Path(path).name) and (oid := facts.split()[2]) not in found:
                found[oid] = (Path(path).name, bigtop.git("cat-file", "blob", oid).stdout)
    return found


def measure_component(bigtop: Mirror, component: str, mirror: Mirror, cache: Path) -> bool:
    tags = [tag for tag in tags_of(mirror) if not tag.candidate]
    patches = component_patches(bigtop, component)
    tickets = {oid: tickets_of(name, diff) for oid, (name, diff) in patches.items()}
    found: dict[str, list[Landing]] = {oid: [] for oid in patches}
    hinted: set[str] = set()
    with (
        History.of(mirror, cache / "history") as history,
        Index.temporary(mirror, cache / f"objects-{component}") as index,
    ):
        history.include(*dict.fromkeys(tag.commit for tag in tags))
        detection = Detection(history, index)
        sought = seek(history, [(diff, " ".join(tickets[oid])) for oid, (_, diff) in patches.items()])
        for tag in tags:
            detection.prepare(sought, tag.commit)
            for oid, patch in zip(patches, sought, strict=True):
                landing = detection.find(patch, tag.commit)
                proved = landing is not None and landing.stands and landing.certain
                if landing and proved and not applies(index, patches[oid][1], tag.commit):
                    found[oid].append(landing)
                if detection.hints(patch, tag.commit):
                    hinted.add(oid)
    wrong = 0
    print(f"{component}: {len(patches)} patches x {len(tags)} tags")
    for oid, landings in found.items():
        false = [one for one in landings if not true_of(oid, tickets[oid], one)]
        wrong += len(false)
        ways = Counter(
            f"{one.by}{'' if one.certain else ', not certain'} {one.commit[:12]}" for one in landings
        )
        print(f"  {patches[oid][0]}: in {len(landings)} tags, false {len(false)}; {dict(ways)}")
    there = sum(bool(landings) for landings in found.values())
    print(f"  found {there} of {len(patches)}; a ticket's commit for {len(hinted)}; false positives: {wrong}")
    return not wrong


def tickets_of(name: str, diff: bytes) -> list[str]:
    """Tickets in a patch's file name and subject."""
    subject = re.search(rb"^Subject: (.*(?:\n .*)*)", diff, re.MULTILINE)
    return sorted(set(TICKET.findall(f"{name} {subject[1].decode(errors='replace') if subject else ''}")))


def true_of(oid: str, tickets: Sequence[str], landing: Landing) -> bool:
    """Whether a commit is the patch, as far as names and a reader tell."""
    named = set(TICKET.findall(landing.subject)) & set(tickets)
    return bool(named) or landing.commit[:12] in JUDGED.get(oid, ())


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--draw", action="store_true", help="draw the backports anew")
    arguments = parser.parse_args()
    bigtop = Bigtop(mirror=Mirror(path=Path(os.environ["BIGTOP_GIT"]), url=""))
    bigtop.read()
    with tempfile.TemporaryDirectory(prefix="bigtop-builder-detection-") as folder:
        cache = Path(folder)
        if arguments.draw:
            with Index.temporary(bigtop.mirror, cache / "objects") as index:
                drawn = draw(bigtop, index)
            DRAWN.write_text("".join(f"{one.commit} {one.source}\n" for one in drawn))
        pairs = (line.split() for line in DRAWN.read_text().splitlines())
        drawn = [Backport(commit=commit, source=source) for commit, source in pairs]
        well = measure_bigtop(bigtop, drawn, cache)
        for component in ("zookeeper", "oozie"):
            if clone := os.environ.get(f"{component.upper()}_GIT"):
                well &= measure_component(bigtop.mirror, component, Mirror(path=Path(clone), url=""), cache)
    return int(not well)


if __name__ == "__main__":
    sys.exit(main())
