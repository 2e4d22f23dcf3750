# SPDX-License-Identifier: Apache-2.0
"""Manifests of releases that never were."""

from collections.abc import Mapping, Sequence

from bigtop_builder.manifest import Manifest


def manifest(
    component: str, packages: Sequence[Mapping[str, object]], *, target: str = "deb12", **more: object
) -> Manifest:
    """Of a release with one component; `more` is said of the component."""
    return Manifest.model_validate(
        {
            "tool": "t 1",
            "created": "2026-01-02T03:04:05Z",
            "release": "1.0",
            "target": target,
            "recipe": "a" * 64,
            "lock": "b" * 64,
            "tree": {"repository": "r", "commit": "c" * 40, "tree": "d" * 40, "patches": []},
            "verdict": "e" * 64,
            "components": [
                {
                    "name": component,
                    "version": "1",
                    "stamp": "1",
                    "step": "f" * 64,
                    "serial": 1,
                    "source": None,
                    "image": {"name": "i"},
                    "log": "0" * 64,
                    "seconds": 1,
                    "packages": packages,
                    **more,
                }
            ],
        }
    )
