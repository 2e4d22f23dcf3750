# SPDX-License-Identifier: Apache-2.0
"""Keeping the patch queue over the releases: work trees, imports, rebases, and what each patch is on each release."""
