# SPDX-License-Identifier: Apache-2.0
"""Verification of built packages: one check a module, and the verdict they add up to."""

from bigtop_builder.verify.packages import Built
from bigtop_builder.verify.run import verdict_id, verify

__all__ = ["Built", "verdict_id", "verify"]
