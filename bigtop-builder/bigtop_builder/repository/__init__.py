# SPDX-License-Identifier: Apache-2.0
"""The signed apt repository: state, indices, one atomic switch (docs/decisions/0003-store-layout.md)."""
