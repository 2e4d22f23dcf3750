# SPDX-License-Identifier: Apache-2.0
"""Executors carry out a plan: `local` on this machine."""
