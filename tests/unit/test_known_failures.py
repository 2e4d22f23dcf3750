# SPDX-License-Identifier: Apache-2.0
"""A failed build's last lines are turned into what happened and what cures it."""

import pytest

from bigtop_builder.known_failures import KNOWN, explained, headline, likely_cause

SAMPLES = {
    "the disk is full": (
        "cp: error writing 'a.jar': No space left on device",
        "npm ERR! code ENOSPC",
    ),
    "the build ran out of memory": (
        'Exception in thread "main" java.lang.OutOfMemoryError: Java heap space',
        "# There is insufficient memory for the Java Runtime Environment to continue.",
        "gcc: fatal error: cannot execute 'cc1': vfork: Cannot allocate memory",
    ),
    "a component patch does not apply": (
        "Hunk #1 FAILED at 12.",
        "dpkg-source: info: the patch has fuzz which is not allowed, or is malformed",
        "dpkg-source: error: LC_ALL=C patch -t -F 0 -N -p1 -u subprocess returned exit status 1",
    ),
    "Bigtop does not recognise this system": ("> No such property: pkg for class: java.lang.Boolean",),
    "offline nothing is fetched": (
        "[ERROR] Cannot access bigtop-builder (https://a.example) in offline mode and a:b:jar:1 has not been",
        "> No cached version of de.undercouch:gradle-download-task:4.1.2 available for offline mode.",
        "npm error code ENOTCACHED",
        'error Can\'t make a request in offline mode ("https://registry.npmjs.org/a/-/a-1.0.0.tgz")',
    ),
    "calls sudo": ('> Cannot run program "sudo": error=2, No such file or directory',),
    "does not trust the server": (
        "sun.security.validator.ValidatorException: PKIX path building failed",
        "unable to find valid certification path to requested target",
    ),
    "cannot have an artifact": (
        "[ERROR] Could not find artifact org.apache.hbase:hbase-mapreduce:jar:2.6.2 in bigtop-builder",
        "[ERROR] Could not resolve dependencies for project org.apache.hive:hive-exec:jar:4.0.1",
        "> Could not resolve all files for configuration ':classpath'.",
    ),
    "headless JDK": ("Could NOT find JNI (missing: JAVA_AWT_LIBRARY JAVA_JVM_LIBRARY AWT)",),
    "old C code": (
        "x.c:9:5: error: implicit declaration of function 'isatty' [-Wimplicit-function-declaration]",
    ),
    "another protoc": (
        "protoc version is 'libprotoc 3.21.12', expected version is '2.5.0'",
        "CMake Error: Could NOT find Protobuf (missing: Protobuf_LIBRARIES)",
    ),
    "a download failed": (
        "> Could not GET 'https://conjars.org/repo/x.pom'.",
        "Connect to host:443 failed: Connection refused (Connection refused)",
        "wget: unable to resolve host address: Temporary failure in name resolution",
        "java.net.UnknownHostException: conjars.org",
    ),
    "share one Gradle home": ("> Timeout waiting to lock journal cache (/root/.gradle/caches/journal-1).",),
}
"""Part of the cause -> lines as builds print them."""


@pytest.mark.parametrize(
    ("cause", "line"), [(cause, line) for cause, lines in SAMPLES.items() for line in lines]
)
def test_a_line_of_a_known_failure_is_recognised_among_others(cause: str, line: str) -> None:
    found = likely_cause(
        ["[INFO] Scanning for projects...", line, "FAILURE: Build failed with an exception."]
    )
    assert found is not None
    assert cause in found.cause
    assert found.cure


def test_every_known_failure_has_a_sample() -> None:
    assert [failure.cause for failure in KNOWN if not any(cause in failure.cause for cause in SAMPLES)] == []


def test_an_unknown_failure_has_no_cause() -> None:
    assert likely_cause(["[INFO] BUILD SUCCESS", "> Task failed"]) is None
    assert likely_cause([]) is None


def test_a_patch_that_applied_is_not_blamed() -> None:
    lines = ["dpkg-source: info: applying patch900-loopback.diff", "> Task :herald-deb FAILED"]
    assert likely_cause(lines) is None


def test_the_more_telling_of_two_failures_is_named() -> None:
    found = likely_cause(["java.net.UnknownHostException: x", "write failed: No space left on device"])
    assert found is not None
    assert found.cause == "the disk is full"


def test_the_lines_that_failed_first_are_told_before_the_last_ones() -> None:
    """Between the two, other compilers and Maven go on: Hadoop's native build prints some 180 lines."""
    error = "/build/src/pool.h:52:32: error: ISO C++17 does not allow dynamic exception specifications"
    log = [
        "[INFO] Building nativetask",
        f"[WARNING] {error}",
        *(f"[INFO] module {number} ... SKIPPED" for number in range(100)),
        "[INFO] BUILD FAILURE",
        "[ERROR] Failed to execute goal cmake-compile on project nativetask: make failed with error code 2",
        "[ERROR] -> [Help 1]",
        "dpkg-buildpackage: error: debian/rules binary subprocess returned exit status 2",
        *(f"Gradle's word {number}" for number in range(40)),
    ]
    details, hint = explained(log)
    said = details.splitlines()
    assert said[:3] == [
        "what failed first:",
        f"  [WARNING] {error}",
        "  [ERROR] Failed to execute goal cmake-compile on project nativetask: make failed with error code 2",
    ]
    assert said[-1] == "  Gradle's word 39"
    assert len(said) < 20
    assert "read the log" in hint


def test_a_known_failure_among_the_first_lines_counts_more_than_one_further_up() -> None:
    details, hint = explained(
        [
            "warning: Connection refused, trying another mirror",
            "x.c:9:5: error: implicit declaration of function 'isatty' [-Wimplicit-function-declaration]",
            "make[1]: *** [Makefile:5: all] Error 1",
        ]
    )
    assert details.startswith("likely cause: old C code")
    assert "DEB_CFLAGS_APPEND" in hint


@pytest.mark.parametrize(
    "log",
    [
        [
            "x.c:9:5: warning: implicit declaration of function 'isatty' [-Wimplicit-function-declaration]",
            "x.c:12:1: error: unknown type name 'u_long'",
        ],
        [
            "Retrying: Connect to host:443 failed: Connection refused (Connection refused)",
            "[INFO] BUILD SUCCESS",
            "dh_install: error: missing files, aborting",
        ],
        ["Connect to host:443 failed: Connection refused", "[INFO] BUILD SUCCESS", "nothing that is known"],
    ],
)
def test_what_harmed_nobody_is_no_cause(log: list[str]) -> None:
    details, hint = explained([*log, "make[1]: *** [Makefile:5: all] Error 1"])
    assert "likely cause" not in details
    assert "read the log" in hint


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("  Could NOT find JNI (missing: JAVA_AWT_LIBRARY JAVA_JVM_LIBRARY AWT)", "headless JDK"),
        ('[INFO] error Can\'t make a request in offline mode ("https://a/a-1.tgz")', "not in the cache"),
        ("wget: unable to resolve host address: Temporary failure in name resolution", "a download failed"),
        ("curl: (7) Failed to connect to a.example port 443: Connection refused", "a download failed"),
    ],
)
def test_a_cause_is_found_beside_other_lines_that_tell_of_the_failure(line: str, cause: str) -> None:
    details, _ = explained(
        [line, "[INFO] BUILD FAILURE", "[ERROR] Failed to execute goal a:b:1:run: exit status 1"]
    )
    assert cause in details.partition("\n")[0]


def test_without_a_line_that_tells_why_more_of_the_last_ones_are_shown() -> None:
    details, _ = explained([f"line {number}" for number in range(100)])
    assert details.splitlines() == ["its last lines:", *(f"  line {number}" for number in range(60, 100))]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["cp: error writing 'a.jar': No space left on device"], "the disk is full"),
        (
            ["/a/b.c:9:5: error: unknown type name", "make: *** [b.o] Error 1"],
            "/a/b.c:9:5: error: unknown type name",
        ),
        (["nothing that is known"], ""),
    ],
)
def test_the_cause_is_told_in_one_line(lines: list[str], said: str) -> None:
    assert headline(explained(lines)[0]) == said
