# SPDX-License-Identifier: Apache-2.0
"""What upstream has: the history of a repository, and whether a patch is part of a release in it."""
