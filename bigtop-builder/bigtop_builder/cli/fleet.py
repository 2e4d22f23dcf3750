# SPDX-License-Identifier: Apache-2.0
"""`fleet`: the hosts that run what was published."""

import click

from bigtop_builder.cli.lazy import LazyGroup

VERBS = {
    "hosts": ("fleet_hosts", "List hosts by role, from fleet.toml or an inventory."),
    "lists": ("fleet_lists", "Write what each role installs, with versions and commands, there and back."),
    "manifest": ("fleet_manifest", "Write the signed manifest of a snapshot: what its hosts have."),
    "plan": ("fleet_plan", "Write the folder of an upgrade day: runbook, scripts, and all that hosts need."),
    "rehearse": ("fleet_rehearse", "Play the upgrade day in containers: there, back, and with faults."),
    "report": ("fleet_report", "Group hosts by what they have, and say how they differ."),
    "sources": (
        "fleet_sources",
        "Write source, pins, keyring and guard for hosts, for Ansible and Puppet too.",
    ),
    "verify-host": (
        "fleet_verify_host",
        "Hold a host against the manifest; write the file that does it there.",
    ),
}
"""Verb -> module of this package, and its help in one line."""


@click.group(cls=LazyGroup, verbs=VERBS)
def fleet() -> None:
    """The hosts of a snapshot: what they have, and how they get there and back. All of it is files and exit codes."""
