# SPDX-License-Identifier: Apache-2.0
"""Images in the Docker engine: found by their id, else built, and so built once; listed; their bases pinned."""

import io
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import tomlkit
from filelock import FileLock

from bigtop_builder import registry
from bigtop_builder.atomic import write_whole
from bigtop_builder.base import BaseSpec, base_tarball, way_out
from bigtop_builder.container import LABEL, Engine
from bigtop_builder.docker_sdk import told
from bigtop_builder.errors import ONCE_ONLINE, BuilderError, EnvironmentMissing, ImageError, InputError
from bigtop_builder.image import SHORT, ImageSpec, context, site_id
from bigtop_builder.proxy import proxy_environment
from bigtop_builder.recipe import Recipe
from bigtop_builder.room import Transcript
from bigtop_builder.settings import Settings
from bigtop_builder.tarstream import pack
from bigtop_builder.workspace import Workspace

log = logging.getLogger(__name__)

COLOUR = re.compile(r"\x1b\[\d*m")
"""The engine paints what commands write to stderr."""


@dataclass(frozen=True, kw_only=True)
class BuiltImage:
    """An image that the engine has.

    Attributes:
        name: Repository and tag.
        digest: The engine's id of it, `sha256:…`.
    """

    name: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class ListedImage:
    """An image of ours, as `image list` shows it.

    Attributes:
        name: Repository and tag.
        kind: `builder`, `target` or `base`.
        digest: The engine's id of it.
        size: Bytes, with the layers it shares.
        created: ISO 8601.
    """

    name: str
    kind: str
    digest: str
    size: int
    created: str


def ensure_image(
    engine: Engine,
    spec: ImageSpec,
    *,
    workspace: Workspace,
    settings: Settings,
    on_line: Callable[[bytes], None] | None = None,
) -> BuiltImage:
    """The image of a spec, built when the engine has none of this id, or one with another site's mirrors.

    Raises:
        EnvironmentMissing: The engine has another architecture; mmdebstrap is missing; the disk is full.
        ImageError: The build failed; its last lines are in the error.
    """
    labels = {f"{LABEL}.kind": spec.kind, f"{LABEL}.id": spec.id, f"{LABEL}.site": site_id(spec, settings)}
    found = _find(engine, spec.name, labels)
    if found:
        return found
    if settings.offline:
        raise ImageError(f"the engine has no image {spec.name}, and offline none is made", hint=ONCE_ONLINE)
    _require_architecture(engine, spec.base)
    workspace.locks.mkdir(parents=True, exist_ok=True)
    with FileLock(workspace.locks / f"image-{spec.id[:SHORT]}.lock"):
        found = _find(engine, spec.name, labels)
        if found:
            return found
        base = _ensure_base(engine, spec.base, workspace=workspace, settings=settings, on_line=on_line)
        log.info("building the image %s, once", spec.name)
        with _cleaned(engine, spec.id):
            _build(engine, spec, base, labels, settings, on_line=on_line)
        return _find(engine, spec.name, labels) or _vanished(spec.name)


def list_images(engine: Engine) -> tuple[ListedImage, ...]:
    """All images that this tool made, by name."""
    with told("images cannot be listed", ImageError):
        images = engine.client.images.list(filters={"label": [f"{LABEL}=1", f"{LABEL}.kind"]})
    listed = (
        ListedImage(
            name=tag,
            kind=image.labels[f"{LABEL}.kind"],
            digest=str(image.id),
            size=image.attrs["Size"],
            created=str(image.attrs["Created"]),
        )
        for image in images
        for tag in image.tags
    )
    return tuple(sorted(listed, key=lambda image: image.name))


def pin(engine: Engine, path: Path, recipe: Recipe, settings: Settings) -> str:
    """Ask the registry for the digest of a recipe's base image, write it into the recipe, and return it.

    Raises:
        InputError: The recipe names no image in a registry.
        ImageError: The registry does not answer or has no such image.
    """
    if not recipe.image.registry:
        raise InputError(
            f"{path} names no base image", hint="give `image.registry`, or let mmdebstrap make it"
        )
    found = registry.resolve(engine, recipe.image.registry, settings)
    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    table: Any = document["image"]
    table["digest"] = found
    write_whole(path, tomlkit.dumps(document))
    return found


def _find(engine: Engine, name: str, labels: Mapping[str, str]) -> BuiltImage | None:
    from docker.errors import ImageNotFound

    with told(f"image {name} cannot be looked up", ImageError):
        try:
            image = engine.client.images.get(name)
        except ImageNotFound:
            return None
    if labels.items() <= image.labels.items():
        return BuiltImage(name=name, digest=str(image.id))
    return None


def _vanished(name: str) -> NoReturn:
    raise ImageError(
        f"image {name} is gone right after it was built", hint="does something prune images here?"
    )


def _require_architecture(engine: Engine, base: BaseSpec) -> None:
    if engine.architecture != base.architecture:
        raise EnvironmentMissing(
            f"the Docker engine is {engine.architecture}, and the recipe's target is {base.architecture}",
            hint=f"point DOCKER_HOST to an engine on {base.architecture}",
        )


def _ensure_base(
    engine: Engine,
    base: BaseSpec,
    *,
    workspace: Workspace,
    settings: Settings,
    on_line: Callable[[bytes], None] | None,
) -> str:
    if base.digest:
        name = registry.full_name(base.reference, settings, digest=base.digest)
        if not _find(engine, name, {}):
            registry.pull(engine, name, settings)
        return name
    name = f"{LABEL}/base:{base.id[:SHORT]}"
    labels = {LABEL: "1", f"{LABEL}.kind": "base", f"{LABEL}.id": base.id}
    if not _find(engine, name, labels):
        tarball = base_tarball(base, workspace=workspace, settings=settings, on_line=on_line)
        changes = ["LABEL " + " ".join(f"{key}={value}" for key, value in labels.items())]
        repository, _, tag = name.partition(":")
        with told(f"{tarball} cannot be imported as {name}", ImageError):
            said = engine.client.api.import_image_from_file(str(tarball), repository, tag, changes=changes)
        if not _find(engine, name, labels):
            raise ImageError(f"{tarball} cannot be imported as {name}", details=str(said))
    return name


def _build(
    engine: Engine,
    spec: ImageSpec,
    base: str,
    labels: Mapping[str, str],
    settings: Settings,
    *,
    on_line: Callable[[bytes], None] | None,
) -> None:
    transcript, error = Transcript(on_line), ""
    with told(f"image {spec.name} cannot be built", ImageError):
        events = engine.client.api.build(
            fileobj=io.BytesIO(b"".join(pack(context(spec, settings)))),
            custom_context=True,
            tag=spec.name,
            labels={name: value for name, value in labels.items() if name != f"{LABEL}.id"},
            buildargs={"BASE": base, "ID": spec.id, **proxy_environment(settings)},
            nocache=True,
            rm=True,
            forcerm=True,
            decode=True,
        )
        for event in events:
            error = event.get("error", error)
            for line in COLOUR.sub("", str(event.get("stream", ""))).splitlines(keepends=True):
                transcript(line.encode())
    if error:
        raise ImageError(
            f"image {spec.name} cannot be built: {error}",
            details=transcript.text,
            hint="free space where Docker keeps its data"
            if transcript.disk_full
            else way_out(transcript.text),
        )


@contextmanager
def _cleaned(engine: Engine, identity: str) -> Iterator[None]:
    """Remove what a failed or superseded build of this id left without a name; what stays is only told."""
    try:
        yield
    finally:
        try:
            with told("images without a name cannot be listed", ImageError):
                stale = engine.client.images.list(
                    filters={"label": [f"{LABEL}=1", f"{LABEL}.id={identity}"], "dangling": True}
                )
            for image in stale:
                _drop(engine, str(image.id))
        except BuilderError as error:
            log.warning("%s; `docker image prune` removes what the build left", error.brief)


def _drop(engine: Engine, identity: str) -> None:
    from docker.errors import APIError

    with told(f"the superseded image {identity} cannot be removed", ImageError):
        try:
            engine.client.images.remove(identity)
        except APIError as error:
            if error.status_code != 409:  # noqa: PLR2004  # 409: a container still runs from it
                raise
            log.info("the superseded image %s is still in use, and stays", identity)
