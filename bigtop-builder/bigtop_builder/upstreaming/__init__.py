# SPDX-License-Identifier: Apache-2.0
"""Taking patches upstream: what the projects ask for, and the doors to their GitHub and their tickets."""
