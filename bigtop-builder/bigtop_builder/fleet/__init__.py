# SPDX-License-Identifier: Apache-2.0
"""The fleet: what hosts are given for an upgrade day, as files for whatever the team already uses."""
