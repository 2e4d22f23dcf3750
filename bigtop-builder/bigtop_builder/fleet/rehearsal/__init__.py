# SPDX-License-Identifier: Apache-2.0
"""The upgrade day, played through in containers with the day's own scripts: forward, back, and with faults."""
