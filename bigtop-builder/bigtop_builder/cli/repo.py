# SPDX-License-Identifier: Apache-2.0
"""`repo`: the apt repository, for any .deb files."""

import click

from bigtop_builder.cli.lazy import LazyGroup

VERBS = {
    "add": ("suites", "Bring packages into a suite."),
    "check": ("inspection", "Verify every hash, signature and reference, and say what is wrong."),
    "export": ("snapshots", "Write a mirror of suites or snapshots that needs nothing else."),
    "gc": ("snapshots", "Remove snapshots and files that no rule of retention keeps."),
    "history": ("inspection", "List what was done to a suite, by whom and why."),
    "init": ("init", "Make a repository."),
    "list": ("inspection", "List suites, their snapshots and packages."),
    "promote": ("suites", "Point a suite to the snapshot that another one points to, or to any other."),
    "refresh": ("snapshots", "Sign suites anew, with a new Date and Valid-Until."),
    "remove": ("suites", "Take packages out of a suite."),
    "retire": ("suites", "Remove a suite: hosts find it no more, its history stays."),
    "rollback": ("suites", "Point a suite to a snapshot that it pointed to before."),
    "serve": ("inspection", "Serve the repository over HTTP until Ctrl-C, for trying it out."),
    "snapshot": ("snapshots", "Keep a snapshot, whatever the rules of retention say."),
    "withdraw": ("snapshots", "Take a bad snapshot out of use."),
}
"""Verb -> module of this package, and its help in one line."""


@click.group(cls=LazyGroup, verbs=VERBS)
def repo() -> None:
    """The apt repository. It stands on its own: any .deb files may go in."""
