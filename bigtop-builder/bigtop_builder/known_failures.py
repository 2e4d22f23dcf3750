# SPDX-License-Identifier: Apache-2.0
"""Failures of Bigtop builds: what the last lines of a log mean, and what cures it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bigtop_builder.telling_lines import since_success, telling

LAST_LINES = 40
"""Shown where no line is known to tell why."""
FEW_LAST_LINES = 12
"""Shown below those that tell why."""

CAUSE = "likely cause: "
FAILED_FIRST = "what failed first:"


@dataclass(frozen=True, kw_only=True)
class KnownFailure:
    """One failure others ran into before.

    Attributes:
        pattern: Regular expression, searched in the lines that tell why a build failed.
        cause: What happened.
        cure: What to do.
    """

    pattern: str
    cause: str
    cure: str


KNOWN = (
    KnownFailure(
        pattern=r"No space left on device|ENOSPC",
        cause="the disk is full",
        cure="free space where the engine keeps its data (docker system df), then build again: it resumes",
    ),
    KnownFailure(
        pattern=r"java\.lang\.OutOfMemoryError|Cannot allocate memory|There is insufficient memory for the Java",
        cause="the build ran out of memory",
        cure="raise the component's `memory_mb` in the recipe, or lower its `cpus`",
    ),
    KnownFailure(
        pattern=r"dpkg-source: error: .*patch|the patch has fuzz|Hunk #\d+ FAILED",
        cause="a component patch does not apply: dpkg-source takes no fuzz (-F 0)",
        cure="the lines above name patch and file; rebase it, or list upstream's in `omit_patches`",
    ),
    KnownFailure(
        pattern=r"No such property: pkg for class: java\.lang\.Boolean",
        cause="Bigtop does not recognise this system as Debian (merged /usr, Debian 13)",
        cure="build on an older suite, or carry a patch to packages.gradle's detection",
    ),
    KnownFailure(
        pattern=r"Cannot run program \"sudo\"",
        cause="Bigtop's build.gradle calls sudo while it configures",
        cure="add `sudo` to the image's packages",
    ),
    KnownFailure(
        pattern=r"PKIX path building failed|unable to find valid certification path",
        cause="Java does not trust the server's certificate",
        cure="set `ca_certificates` in the settings to the folder with your site's CA",
    ),
    KnownFailure(
        pattern=r"in offline mode|for offline mode|ENOTCACHED|in your offline mirror|offline cache",
        cause="a download is not in the cache, and offline nothing is fetched: the lines above name it",
        cure="run the same command once without --offline: it fills the cache",
    ),
    KnownFailure(
        pattern=r"Could not (GET|HEAD) '|Connection (refused|reset|timed out)|Temporary failure in name resolution|"
        r"UnknownHostException",
        cause="a download failed",
        cure="see which host the lines above name: if it is gone, set a mirror in the settings; else build again",
    ),
    KnownFailure(
        pattern=r"Could not (find|resolve) (artifact|dependencies|all (files|artifacts|dependencies)).*",
        cause="Maven or Gradle cannot have an artifact",
        cure="look whether the mirror has it; if another component makes it, add that component to the recipe",
    ),
    KnownFailure(
        pattern=r"Could NOT find JNI \(missing: .*AWT",
        cause="the headless JDK lacks libjawt",
        cure="use the full JDK package (openjdk-N-jdk) in the recipe's image",
    ),
    KnownFailure(
        pattern=r"error: implicit declaration of function",
        cause="old C code on a compiler that takes implicit declarations for errors",
        cure='set environment DEB_CFLAGS_APPEND = "-Wno-error=implicit-function-declaration" on the component',
    ),
    KnownFailure(
        pattern=r"protoc version is|Could NOT find Protobuf",
        cause="another protoc than the source wants",
        cure="Hadoop before 3.3 wants protoc 2.5.0; see docs/real-builds.md",
    ),
    KnownFailure(
        pattern=r"Timeout waiting to lock",
        cause="two builds share one Gradle home",
        cure="end the other build of this component, then build again",
    ),
)
"""Most telling first: the first that matches is named."""


def likely_cause(lines: Sequence[str]) -> KnownFailure | None:
    """The first known failure that the given lines of a log show."""
    text = "\n".join(lines)
    return next((failure for failure in KNOWN if re.search(failure.pattern, text)), None)


def explained(lines: Sequence[str]) -> tuple[str, str]:
    """Details and hint for the error of a failed build: the likely cause first, the last lines below it.

    Args:
        lines: The end of its log.
    """
    why = telling(lines)
    known = likely_cause(why or since_success(lines))
    last = lines[-(FEW_LAST_LINES if why else LAST_LINES) :]
    details = [
        *([f"{CAUSE}{known.cause}"] if known else []),
        *([FAILED_FIRST, *(f"  {line}" for line in why), ""] if why else []),
        "its last lines:",
        *(f"  {line}" for line in last),
    ]
    hint = known.cure if known else "read the log; --verbose shows each command that was run"
    return "\n".join(details), hint


def headline(details: str) -> str:
    """The cause in one line of what `explained` said; empty if none is known."""
    first, _, rest = details.partition("\n")
    if first.startswith(CAUSE):
        return first.removeprefix(CAUSE)
    return rest.partition("\n")[0].strip() if first == FAILED_FIRST else ""
