# SPDX-License-Identifier: Apache-2.0
"""What clients read: texts of the indices, cut into blocks, and their compressed forms. Reads and writes no file."""
