# SPDX-License-Identifier: Apache-2.0
"""The program in a process of its own, forked from one that has all of its modules loaded.

To load them is most of what a command takes. Whatever is told by how the program starts (a cold start, the clock of
faketime, strace) runs it as `python -m bigtop_builder` instead.
"""

import importlib
import multiprocessing
import os
import pkgutil
import sys
from collections.abc import Callable, Mapping
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import bigtop_builder
from bigtop_builder.run import Completed

SECONDS = 120
MODULES = ("boto3", *(one.name for one in pkgutil.walk_packages(bigtop_builder.__path__, "bigtop_builder.")))
ALONE = Lock()
"""To start a process is to ask after all that run, and of two threads that ask after one, one is told 255."""


def start(act: Callable[..., object], *words: Any) -> BaseProcess:
    """Start a function in a process that is forked from one which has all modules loaded."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(MODULES))
    process = context.Process(target=act, args=words)
    with ALONE:
        process.start()
    return process


def status(process: BaseProcess) -> int:
    """Wait for the end of a process; its exit status, negative for a signal."""
    wait([process.sentinel], SECONDS)
    with ALONE:
        process.join(0)
    assert process.exitcode is not None, f"{process} did not end within {SECONDS} s"
    return process.exitcode


def ran(
    act: Callable[..., object], *argv: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Completed:
    """Run a function of a module in a process of its own, as `run` runs a program: it gets the arguments."""
    with TemporaryDirectory(prefix="bb-said-") as folder:
        said = [Path(folder, name) for name in ("out", "err")]
        variables = {**os.environ, **(env or {})}
        returncode = status(start(_there, act, argv, variables, cwd or Path.cwd(), said))
        stdout, stderr = (path.read_bytes() for path in said)
    return Completed(argv=argv, returncode=returncode, stdout=stdout, stderr=stderr)


def program(*words: object, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Completed:
    """Run a command of bigtop-builder."""
    return ran(_program, *map(str, words), env=env, cwd=cwd)


def _there(
    act: Callable[..., object],
    argv: tuple[str, ...],
    variables: Mapping[str, str],
    folder: Path,
    said: list[Path],
) -> None:
    for number, file in enumerate(said, start=1):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    act(*argv)


def _program(*words: str) -> None:
    sys.argv = ["bigtop-builder", *words]
    importlib.import_module("bigtop_builder.__main__").main()
