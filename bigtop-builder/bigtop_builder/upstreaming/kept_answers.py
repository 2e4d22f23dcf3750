# SPDX-License-Identifier: Apache-2.0
"""GitHub's answers on disk, so that it need only say that nothing changed: that counts against no limit.

One file an address and token: what one token may see, another may not. It may be deleted at any time.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.atomic import write_whole
from bigtop_builder.disused import mark_used
from bigtop_builder.errors import InputError
from bigtop_builder.schema import Value, digest

log = logging.getLogger(__name__)


class KeptAnswer(Value):
    """One page of an answer.

    Attributes:
        url: Where it was had.
        etag: What the server calls this state of it (RFC 9110, 8.8.3).
        next: Address of the next page; empty if this is the last.
        body: Its text.
    """

    url: str
    etag: str
    next: str
    body: str


@dataclass(frozen=True, kw_only=True)
class KeptAnswers:
    """The answers that were given to one token, or to none.

    Attributes:
        folder: Where they lie, readable by their owner alone.
        identity: Hash that stands for the token; empty without one.
    """

    folder: Path
    identity: str

    def find(self, url: str) -> KeptAnswer | None:
        """What was answered last; None if it is not there, or damaged."""
        file = self._file(url)
        try:
            kept = KeptAnswer.from_json(file.read_bytes(), source=str(file))
        except FileNotFoundError:
            return None
        except InputError as error:
            log.info("%s; asking anew", error.brief)
            return None
        mark_used(file)
        return kept if kept.url == url else None

    def keep(self, answer: KeptAnswer) -> None:
        """Keep an answer in place of the one before."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(self._file(answer.url), answer.to_json())

    def _file(self, url: str) -> Path:
        return self.folder / f"{digest(url, self.identity)}.json"
