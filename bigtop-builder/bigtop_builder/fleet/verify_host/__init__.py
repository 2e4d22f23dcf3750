# SPDX-License-Identifier: Apache-2.0
"""Hold a host against the signed manifest of a release, on the host, as any user.

This package is published as one file (docs/decisions/0015-verifier.md) that runs where nothing of ours is: it takes
Python 3.9 and its standard library alone, and imports nothing but its own modules, by relative names. It reads
dpkg's database, the installed files and apt's lists, runs `gpgv` (or `sqv`, where apt brings that one), `apt-get
indextargets`, `apt-get check`, `apt-cache policy` and `apt-helper cat-file`, and changes nothing.

Exit status: 0 as the manifest says, 1 something differs, 2 wrong use or a manifest that is not to be trusted,
3 nothing was found to differ, but something could not be read.
"""
