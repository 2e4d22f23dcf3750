# SPDX-License-Identifier: Apache-2.0
"""From a snapshot of the repository to the hosts that run it: all of it files, for whatever the site uses."""
