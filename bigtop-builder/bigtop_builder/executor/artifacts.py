# SPDX-License-Identifier: Apache-2.0
"""Which Maven artifacts a build had: their hashes tell what a jar is that says nothing itself."""

from bigtop_builder.downloads import GRADLE, MAVEN
from bigtop_builder.room import Room
from bigtop_builder.sbom.coordinates import Artifacts, artifacts_of

ENDINGS = ("jar", "war", "ear", "zip", "tar.gz")


def note_artifacts(room: Room) -> Artifacts:
    """Coordinates of what the local repositories hold: a gigabyte of jars takes three seconds."""
    named = " -o ".join(f"-name '*.{ending}'" for ending in ENDINGS)
    find = f"find {MAVEN} {GRADLE} -type f \\( {named} \\) -print0"
    done = room.run(["sh", "-c", f"{find} | xargs -0 -r sha256sum --"], cwd=room.workdir)
    return artifacts_of(done.text.splitlines(), maven=MAVEN, gradle=GRADLE)
