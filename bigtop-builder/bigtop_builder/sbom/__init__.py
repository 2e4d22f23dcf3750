# SPDX-License-Identifier: Apache-2.0
"""What is in a package: its jars, the Maven coordinates of each, and how these are known."""
