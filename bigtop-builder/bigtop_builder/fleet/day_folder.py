# SPDX-License-Identifier: Apache-2.0
"""The folder of an upgrade day, as each host gets it: runbook, scripts, sources, lists, manifests, verify-host."""

from bigtop_builder.fleet.emitted import File, Files
from bigtop_builder.fleet.fleet_manifest import FILE, SIGNATURE, FleetManifest
from bigtop_builder.fleet.host_program import program
from bigtop_builder.openpgp import Keyring


def day_folder(
    runbook: Files,
    *,
    sources: Files,
    lists: Files,
    new: FleetManifest,
    old: FleetManifest | None,
    keyring: Keyring,
) -> Files:
    """All files of a day, by path below its folder.

    Args:
        runbook: The runbook and its scripts.
        sources: As `fleet sources` writes them.
        lists: As `fleet lists` writes them.
        new: What hosts go to.
        old: What they come from; None if there is no way back.
        keyring: Signs both manifests.

    Raises:
        SigningError: A key cannot sign.
    """
    manifests = {"new": new, **({"old": old} if old else {})}
    return {
        **runbook,
        **{f"sources/{name}": file for name, file in sources.items() if "/" not in name},
        **{f"lists/{name}": file for name, file in lists.items()},
        **{
            f"{which}/{name}": file
            for which, manifest in manifests.items()
            for name, file in _signed(manifest, keyring).items()
        },
        "verify-host": File(program(), program=True),
    }


def _signed(manifest: FleetManifest, keyring: Keyring) -> Files:
    text = manifest.to_json().encode()
    return {FILE: File(text), SIGNATURE: File(keyring.detach_sign(text, manifest.keys))}
