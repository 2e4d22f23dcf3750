# SPDX-License-Identifier: Apache-2.0
"""`recipe new`: a draft of the recipe for a release that upstream has tagged, made of the nearest earlier one."""
