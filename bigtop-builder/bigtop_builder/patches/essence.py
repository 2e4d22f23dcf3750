# SPDX-License-Identifier: Apache-2.0
"""What a diff does, without where: two of the same essence change the same lines of the same files in one way."""

import re

HUNK = re.compile(rb"^@@ -\d+((?:,\d+)?) \+\d+((?:,\d+)?) @@.*$", re.MULTILINE)
INDEX = re.compile(
    rb"^(?:index [0-9a-f]+\.\.[0-9a-f]+(?: [0-7]+)?|(?:dis)?similarity index \d+%)\n", re.MULTILINE
)


def essence(diff: bytes) -> bytes:
    """A diff without line numbers and object ids, which other patches to the same file change too."""
    return INDEX.sub(b"", HUNK.sub(rb"@@ \1 \2 @@", diff))
