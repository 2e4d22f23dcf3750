# SPDX-License-Identifier: Apache-2.0
"""The patch queue: local patches, each with one home under `patches/<target>/<id>/`."""
