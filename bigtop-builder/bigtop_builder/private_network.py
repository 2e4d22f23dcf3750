# SPDX-License-Identifier: Apache-2.0
"""A network of containers of our own: several hosts that reach each other by name, and nobody else's."""

import logging
import secrets
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from bigtop_builder.container import LABEL, Engine, labels, remove_network
from bigtop_builder.docker_sdk import told
from bigtop_builder.errors import BuilderError
from bigtop_builder.interrupt import finish, sigterm_unwinds

log = logging.getLogger(__name__)


class PrivateNetwork:
    """A network, made when its context is entered, removed when that is left; its containers must be gone then.

    Args:
        engine: Where.
        purpose: Word for its name.
        kept: It stays.
    """

    def __init__(self, engine: Engine, *, purpose: str, kept: bool = False) -> None:
        self._client = engine.client
        self._purpose = purpose
        self._kept = kept
        self._stack = ExitStack()
        self.name = f"{LABEL}-{purpose}-{secrets.token_hex(4)}"

    def __enter__(self) -> Self:
        self._stack.enter_context(sigterm_unwinds())
        try:
            with told(f"network {self.name} cannot be made"):
                self._client.networks.create(
                    self.name, driver="bridge", labels=labels(self._purpose, kept=self._kept)
                )
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if self._kept:
                return
            try:
                with told(f"network {self.name} cannot be removed"):
                    finish(lambda: remove_network(self._client, self.name))
            except BuilderError as left:
                if kind is None:
                    raise
                log.warning("%s", left)
