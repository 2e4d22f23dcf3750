# SPDX-License-Identifier: Apache-2.0
"""Bigtop's wrapper runs on a distribution that the tool fetched and verified, put where the wrapper looks.

The distribution is Debian's own Gradle, packed under the name that the miniature's wrapper asks for and served
on loopback in place of Gradle's site.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.building import build_release
from bigtop_builder.container import Engine
from bigtop_builder.engine_images import ensure_image
from bigtop_builder.errors import SourceError
from bigtop_builder.hashes import sha256_of
from bigtop_builder.image import builder_image
from bigtop_builder.place import Place
from bigtop_builder.recipe import load_recipe
from bigtop_builder.repository.serve import serve
from bigtop_builder.settings import Mirrors, Settings, load_settings
from bigtop_builder.survey import Survey, survey
from bigtop_builder.workspace import Project, Workspace

pytestmark = [pytest.mark.docker, pytest.mark.network]
FILE = "gradle-5.6.4-bin.zip"
PACK = f"cp -rL /usr/share/gradle gradle-5.6.4 && zip -qr {FILE} gradle-5.6.4"


@pytest.fixture(scope="module")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distribution, in a folder of its own."""
    folder = tmp_path_factory.mktemp("distribution")
    site = load_settings()
    system = site.model_copy(update={"gradle": "system"})
    recipes = Path(__file__).parents[2] / "recipes/miniature/recipes"
    recipe, _ = load_recipe("1.0.0", recipes)
    with Engine.connect() as engine:
        image = ensure_image(
            engine, builder_image(recipe, system), workspace=Workspace(site.cache_dir), settings=system
        )
        with engine.rooms(image.name).open(purpose="distribution") as room:
            room.run(["sh", "-ec", PACK])
            room.get(f"{room.workdir}/{FILE}", folder)
    return folder / FILE


@pytest.fixture
def wrapping(tmp_path: Path, distribution: Path) -> Iterator[Settings]:
    """A site whose Gradle comes through the wrapper."""
    site = load_settings()
    cache = tmp_path / "cache"
    cache.mkdir()
    (site.cache_dir / "images").mkdir(parents=True, exist_ok=True)
    (cache / "images").symlink_to(site.cache_dir / "images")
    with serve(distribution.parent) as url:
        yield Settings(cache_dir=cache, gradle="wrapper", mirrors=Mirrors(gradle_distributions=url))


def surveyed(project: Project, settings: Settings, sha256: str) -> Survey:
    """The miniature with a pin for its Gradle, its lock bumped.

    Debian's Gradle looks for jars of other projects in the system's folders, so the image has its package too.
    """
    path = project.recipes / "1.0.0.toml"
    text = path.read_text().replace('packages = ["libcap-dev"]', 'packages = ["gradle", "libcap-dev"]')
    path.write_text(f'{text}\n[gradle]\nversion = "5.6.4"\nsha256 = "{sha256}"\n')
    road = survey("1.0.0", project=project, settings=settings)
    road.lock_path.write_text(road.bumped().to_toml())
    return survey("1.0.0", project=project, settings=settings)


def test_the_wrapper_builds_with_the_pinned_distribution(
    project: Project, wrapping: Settings, distribution: Path
) -> None:
    road = surveyed(project, wrapping, sha256_of(distribution))
    with Place(road) as place:
        made = build_release(road, road.plan(("bigtop-utils",)), place)
    assert [file.file for result in made.results for file in result.debs] == [
        "bigtop-utils_1.0.0-1+bt1.0.0.1~deb12_all.deb"
    ]


def test_a_distribution_that_is_not_what_the_recipe_pins_is_refused(
    project: Project, wrapping: Settings
) -> None:
    road = surveyed(project, wrapping, "0" * 64)
    with Place(road) as place, pytest.raises(SourceError) as refusal:
        build_release(road, road.plan(("bigtop-utils",)), place)
    assert "the recipe pins " + "0" * 64 in refusal.value.brief
    assert not list((road.workspace.sources / "gradle").rglob("*.zip"))
