# SPDX-License-Identifier: Apache-2.0
"""From one Apache Bigtop release and a queue of local patches to a signed apt repository."""

__version__ = "0.1.0"
