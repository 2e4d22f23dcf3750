# SPDX-License-Identifier: Apache-2.0
"""The lines of a failed build's log that tell why it failed: its last words only tell that it did.

A build of Bigtop is Gradle that runs debuild that runs make that runs Maven, npm or a compiler: each tells in many
lines that what it ran has failed, and what failed first stands above all of them.
"""

import re
from collections.abc import Iterator, Sequence

LINES_OF_A_KIND = 8
"""Those that are told."""
LINE_LENGTH = 400
"""Characters of a line that are told: Maven prints command lines of some thousand."""

BEGAN = re.compile(
    r"""
    \[ERROR\]\s+(?:\[Error\]\s)?/\S+\.(?:java|scala):     # Maven's compilers
    |\s*(?:\[\w+\]\s+)?                                    # Maven's level, or the task of Ant: [javac]
    (?: \S[^:]*:\d+:(?:\d+:)?\s(?:fatal\s)?error:         # gcc, javac
      | (?:\S*[/-])?(?:cc1\w*|ld|collect2|gcc|g\+\+):\s.*(?:error|cannot\sfind)
      | .*undefined\sreference\sto\s
      | CMake\sError | Could\sNOT\sfind\s\w+\s\(missing:  # without the -- of what CMake goes on without
      | npm\s(?:ERR!|error)\s\S
      | error\s(?:An\sunexpected\serror\soccurred|Can't\smake\sa\srequest|Couldn't\sfind)  # yarn 1
      | wget:\s | curl:\s\(\d
      | Exception\sin\sthread\s | Caused\sby:\s | fatal:\s
      | (?:\S*sh:\s|\S+:\sline\s\d+:\s).*(?:not\sfound|No\ssuch\sfile|Permission\sdenied|Killed)
      | dh_\w+:\s(?:error|.*missing\sfiles)
      | dpkg-\w+:\serror:\s(?!debian/rules) | dpkg-source:\sinfo:\sthe\spatch\shas\sfuzz
      | Hunk\s\#\d+\sFAILED | patch:\s\*\*\*\*
      | .*(?:No\sspace\sleft\son\sdevice|Cannot\sallocate\smemory|OutOfMemoryError)
      | Killed$ | .*(?:exit(?:ed)?\s(?:value|status|code|with)|Error)\s137\b | .*[Ss]ignal\s9\b
    )""",
    re.VERBOSE,
)
MAVEN_SAYS = re.compile(r"\[ERROR\]\s*(?P<text>.*)")
MAVEN_HELPS = re.compile(r"(?:->\s*)?\[Help 1\]|To see the full stack trace|Re-run Maven using")
WRONG = "* What went wrong:"
RAN = re.compile(r"finished with non-zero exit value")
FAILED_RULE = re.compile(r"make(?:\[\d+\])?: \*\*\* ")
PATCH = re.compile(r"dpkg-source: info: applying |patching file ")
REFUSED = re.compile(r"Hunk #|patch: |dpkg-source: ")


def telling(lines: Sequence[str]) -> list[str]:
    """The lines of a log that tell why a build failed, in their order, each once; none if no line is known.

    Args:
        lines: The log, or its end, without terminal codes.
    """
    rest = since_success(lines)
    found = [*_some(_began(rest)), *_some(_maven(rest)), *_some(_gradle(rest))]
    return [line[:LINE_LENGTH] for line in dict.fromkeys(found or _before_make(rest))]


def since_success(lines: Sequence[str]) -> Sequence[str]:
    """The lines after the last Maven that ended well: what they tell of is no reason for a failure."""
    return lines[
        max((at + 1 for at, line in enumerate(lines) if line.endswith("BUILD SUCCESS")), default=0) :
    ]


def _some(lines: Iterator[str]) -> list[str]:
    """The first lines, each once."""
    return list(dict.fromkeys(line.strip() for line in lines))[:LINES_OF_A_KIND]


def _began(lines: Sequence[str]) -> Iterator[str]:
    """What a compiler, npm, patch or the kernel said; of a patch, its name and the file first."""
    context: list[str] = []
    for line in lines:
        if PATCH.match(line):
            context = [*context[:1], line] if line.startswith("patching") else [line]
        elif BEGAN.match(line):
            yield from context if REFUSED.match(line) else ()
            context = []
            yield line


def _maven(lines: Sequence[str]) -> Iterator[str]:
    """Maven's own summary, up to where it explains itself."""
    ended = max((at for at, line in enumerate(lines) if line.endswith("BUILD FAILURE")), default=0)
    for line in lines[ended:]:
        if said := MAVEN_SAYS.match(line):
            if MAVEN_HELPS.match(said["text"]):
                return
            if said["text"]:
                yield line


def _gradle(lines: Sequence[str]) -> Iterator[str]:
    """What went wrong in a Gradle, unless all it has to say is that what it ran has failed."""
    for at, line in enumerate(lines):
        if line != WRONG:
            continue
        rest = lines[at + 1 :]
        end = next((n for n, one in enumerate(rest) if not one or one.startswith("* ")), len(rest))
        if not any(RAN.search(one) for one in rest[:end]):
            yield from rest[:end]


def _before_make(lines: Sequence[str]) -> list[str]:
    """The end of what the first failed rule of make printed."""
    at = next((at for at, line in enumerate(lines) if FAILED_RULE.match(line)), None)
    if at is None:
        return []
    return [*[line for line in lines[:at] if line.strip()][-LINES_OF_A_KIND:], lines[at]]
