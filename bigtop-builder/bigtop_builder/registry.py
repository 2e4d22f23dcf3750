# SPDX-License-Identifier: Apache-2.0
"""Base images in a registry, reached through the engine: it has the credentials and the network."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from bigtop_builder.container import Engine
from bigtop_builder.docker_sdk import told
from bigtop_builder.errors import ImageError
from bigtop_builder.settings import Settings

log = logging.getLogger(__name__)


def full_name(reference: str, settings: Settings, *, digest: str = "") -> str:
    """The full name of a registry's image at this site: `host/path:tag`, or `host/path@digest`."""
    first, slash, rest = reference.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        host, path = first, rest
    else:
        host, path = "docker.io", reference if slash else f"library/{reference}"
    host = settings.image.registry or host
    if not digest:
        return f"{host}/{path}"
    folder, slash, last = path.rpartition("/")
    return f"{host}/{folder}{slash}{last.partition(':')[0]}@{digest}"


def resolve(engine: Engine, reference: str, settings: Settings) -> str:
    """The digest that a registry has for an image's tag.

    Raises:
        ImageError: The registry does not answer or has no such image.
    """
    name = full_name(reference, settings)
    with _reached(name, settings):
        return str(engine.client.images.get_registry_data(name).id)


def pull(engine: Engine, name: str, settings: Settings) -> None:
    """Let the engine pull an image.

    Raises:
        ImageError: The registry does not answer or has no such image.
    """
    log.info("pulling %s", name)
    with _reached(name, settings):
        engine.client.images.pull(name)


@contextmanager
def _reached(name: str, settings: Settings) -> Iterator[None]:
    try:
        with told(f"{name} cannot be had from its registry", ImageError):
            yield
    except ImageError as error:
        if settings.image.insecure_registry and "HTTPS" in error.brief:
            error.hint = "add the registry to `insecure-registries` in the engine's daemon.json"
        raise
