# SPDX-License-Identifier: Apache-2.0
"""A GitHub for tests: its REST API, held to its official description, over real git repositories.

    with serving(tmp_path / "github") as site:
        site.create("apache/hadoop", branch="trunk")
        token = site.token("ann")
        ...  # the client under test, at site.api and site.url
        site.person("carol", "apache/hadoop").merge_button(1)

The answers are GitHub's in what they hold and in what is refused; the description does not say what is refused, so
that follows GitHub's documentation and what others met (each place names its source where it has one).
"""

from github.server import GitHub, serving

__all__ = ["GitHub", "serving"]
