# SPDX-License-Identifier: Apache-2.0
"""Of a failed build's log, the lines are told that say why it failed."""

from io import BytesIO

import pytest

from bigtop_builder.log import Tail
from bigtop_builder.telling_lines import telling

GRADLE = (
    ":salute-deb FAILED",
    "",
    "FAILURE: Build failed with an exception.",
    "",
    "* What went wrong:",
    "Execution failed for task ':salute-deb'.",
    "> Process 'command 'debuild'' finished with non-zero exit value 29",
    "",
    "* Try:",
    "Run with --stacktrace option to get the stack trace.",
)
DEBUILD = (
    "make[1]: *** [debian/rules:34: override_dh_auto_build] Error 1",
    "make: *** [debian/rules:27: binary] Error 2",
    "dpkg-buildpackage: error: debian/rules binary subprocess returned exit status 2",
    "debuild: fatal error at line 1185:",
    "dpkg-buildpackage -us -uc -ui -b",
    " failed",
)


@pytest.mark.parametrize(
    "line",
    [
        "src/a.c:3:9: fatal error: zlib.h: No such file or directory",
        "    [javac] /build/A.java:12: error: cannot find symbol",
        "A.java:7: error: ';' expected",
        "[ERROR] /build/src/A.java:[12,24] illegal start of expression",
        "[ERROR] [Error] /build/src/A.scala:12: value x is not a member",
        "/usr/bin/ld: cannot find -lcrypto: No such file or directory",
        "a.o: undefined reference to `crypt'",
        "CMake Error at CMakeLists.txt:5 (find_package):",
        "npm ERR! code ENOTFOUND",
        "npm error code E404",
        'error An unexpected error occurred: "https://registry.npmjs.org/x: Not found".',
        'Exception in thread "main" java.lang.NoClassDefFoundError: org/apache/commons/lang3/Validate',
        "debian/rules: line 5: ant: command not found",
        "sh: 1: protoc: not found",
        "dh_install: error: missing files, aborting",
        "dpkg-shlibdeps: error: no dependency information found for libx.so",
        "bigtop-builder: Cannot allocate memory: the memory limit of 512 MiB was exceeded",
        "Killed",
        "Gradle Test Executor 1 finished with exit value 137 (this value may indicate that it was killed)",
        "tar: write error: No space left on device",
    ],
)
def test_the_line_of_what_failed_is_told_and_not_who_ran_it(line: str) -> None:
    assert telling(["[INFO] Building", line, *DEBUILD, *GRADLE]) == [line.strip()]


def test_of_maven_its_summary_is_told_up_to_where_it_explains_itself() -> None:
    log = [
        "[ERROR] a plugin complains, and goes on",
        "[INFO] BUILD FAILURE",
        "[INFO] Total time:  11.744 s",
        "[ERROR] Failed to execute goal on project client: Could not resolve dependencies for project client",
        "[ERROR] dependency: javax.jms:jms:jar:1.1 (compile)",
        "[ERROR]",
        "[ERROR] -> [Help 1]",
        "[ERROR] To see the full stack trace of the errors, re-run Maven with the -e switch.",
    ]
    assert telling([*log, *DEBUILD, *GRADLE]) == [log[3], log[4]]


def test_of_a_patch_its_name_and_the_file_are_told_too() -> None:
    log = [
        "dpkg-source: info: applying patch0-fine.diff",
        "patching file a",
        "dpkg-source: info: applying patch900-x.diff",
        "patching file a",
        "patching file src/B.java",
        "Hunk #2 FAILED at 12.",
        "1 out of 2 hunks FAILED",
    ]
    assert telling([*log, *DEBUILD]) == [log[2], log[4], log[5]]


def test_what_went_wrong_in_a_gradle_is_told_if_it_says_more_than_that_a_command_failed() -> None:
    inner = [
        "* What went wrong:",
        "> Could not resolve all files for configuration ':classpath'.",
        "",
        "* Try:",
    ]
    assert telling([*inner, *GRADLE]) == ["> Could not resolve all files for configuration ':classpath'."]


def test_where_no_line_is_known_what_the_first_failed_rule_printed_is_told() -> None:
    assert telling(["usage: install_oozie.sh <options>", "+ exit 1", *DEBUILD, *GRADLE]) == [
        "usage: install_oozie.sh <options>",
        "+ exit 1",
        DEBUILD[0],
    ]


def test_what_ended_well_before_is_not_blamed() -> None:
    assert telling(
        ["a.c:1:1: error: tried and left", "[INFO] BUILD SUCCESS", "sh: 1: x: not found", *GRADLE]
    ) == ["sh: 1: x: not found"]
    assert telling([]) == []


def test_colours_do_not_hide_a_line() -> None:
    lines = Tail("salute", BytesIO())
    for line in (
        b"[\x1b[1;34mINFO\x1b[m] \x1b[1;31mBUILD FAILURE\x1b[m\n",
        b"[\x1b[1;31mERROR\x1b[m] no goal\n",
    ):
        lines(line)
    assert telling(list(lines.lines)) == ["[ERROR] no goal"]
