# SPDX-License-Identifier: Apache-2.0
"""Which Maven artifacts a build had: by their hashes, jars in its packages are known that say nothing themselves."""

from pathlib import Path

from bigtop_builder.downloads import GRADLE, MAVEN
from bigtop_builder.room import Room
from bigtop_builder.sbom import fingerprint
from bigtop_builder.sbom.coordinates import Artifacts, artifacts_of


def note_artifacts(room: Room) -> Artifacts:
    """Coordinates of what the local repositories hold: a gigabyte of jars takes some three seconds."""
    program = Path(fingerprint.__file__).read_text(encoding="utf-8")
    done = room.run(["python3", "-c", program, MAVEN, GRADLE], cwd=room.workdir)
    return artifacts_of(done.text.splitlines(), maven=MAVEN, gradle=GRADLE)
