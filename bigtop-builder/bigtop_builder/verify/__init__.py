# SPDX-License-Identifier: Apache-2.0
"""Verification of built packages: one check a module, and the verdict they add up to."""
