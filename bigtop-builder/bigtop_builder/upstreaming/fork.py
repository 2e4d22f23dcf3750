# SPDX-License-Identifier: Apache-2.0
"""The repository that a branch is pushed to, and what git does there: look, and push without losing others' work."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Final
from urllib.parse import urlsplit

from bigtop_builder.errors import CheckFailed, UpstreamError
from bigtop_builder.git_index import Index
from bigtop_builder.proxy import Proxy
from bigtop_builder.run import Completed
from bigtop_builder.settings import Settings
from bigtop_builder.upstreaming.answers import Repository
from bigtop_builder.upstreaming.api import LOOPBACK, api_of
from bigtop_builder.upstreaming.github import GitHub, require_fork
from bigtop_builder.upstreaming.token import MANUAL, Token

log = logging.getLogger(__name__)

PAUSE: Final = 1.0
"""Seconds before a new fork is looked for again; twice as many each time."""
LEAST: Final = 30
"""Seconds that a new fork is waited for at least, which GitHub makes by and by."""
STALE: Final = ("stale info", "[rejected]", "cannot lock ref")
"""What git says if the branch is not as it was looked at."""
NO_TOKEN: Final = ("could not read Username", "could not read Password", "Authentication failed")
"""What it says if a server does not take the token, and asks for another that nobody is there to type."""
FINAL: Final = ("remote rejected", "denied", "refusing", *NO_TOKEN)
"""What it says if waiting helps nothing."""


@dataclass(frozen=True, kw_only=True)
class Fork:
    """A repository that branches are pushed to.

    Attributes:
        repository: What GitHub says of it.
        index: Has the commits.
        token: May push there.
        settings: For the proxy, and how long a new one is waited for.
        new: Whether it was just made.
    """

    repository: Repository
    index: Index = field(repr=False)
    token: Token
    settings: Settings = field(repr=False)
    new: bool = False

    def tip(self, branch: str) -> str:
        """The commit of a branch there; empty if there is none.

        Raises:
            UpstreamError: It cannot be read.
        """
        name = f"refs/heads/{branch}"
        done = self._patiently("ls-remote", self._url, name)
        return done.text.partition("\t")[0]

    def push(self, commit: str, branch: str, *, instead_of: str) -> None:
        """Push a commit to a branch.

        Args:
            commit: The commit.
            branch: The branch.
            instead_of: What it has now; empty if it is not there.

        Raises:
            CheckFailed: It has another commit by now.
            UpstreamError: It cannot be pushed.
        """
        name = f"refs/heads/{branch}"
        lease = f"--force-with-lease={name}:{instead_of}"
        words = ("push", "--quiet", "--porcelain", "--no-verify", lease, self._url, f"{commit}:{name}")
        done = self._patiently(*words)
        if done.returncode:
            raise CheckFailed(
                f"{branch} of {self.repository.full_name} was changed by somebody else at this moment",
                details=self._said(done),
                hint="run the same command again: it says who has what there",
            )

    @property
    def _url(self) -> str:
        return self.repository.clone_url

    def _patiently(self, *words: str) -> Completed:
        """Run git; of a new fork again and again, since git may see it later than the API does.

        Returns:
            What git did, or that it was refused since the branch is another one.
        """
        waits = _waits(self.repository.full_name, self.settings) if self.new else iter(())
        while True:
            done = self._git(*words)
            said = self._said(done)
            if not done.returncode or (words[0] == "push" and any(one in said for one in STALE)):
                return done
            if any(one in said for one in FINAL) or not next(waits, False):
                raise self._failure(words[0], said)

    def _failure(self, verb: str, said: str) -> UpstreamError:
        name = self.repository.full_name
        brief = f"{'pushing to' if verb == 'push' else 'looking at'} {name} failed"
        if any(one in said for one in NO_TOKEN):
            return UpstreamError(
                f"{brief}: its server does not take the token from {self.token.origin}",
                details=said,
                hint=f"it may have expired just now: make another, and run the same command again; {MANUAL}",
            )
        hint = f"if git was refused: {MANUAL}; a branch of others is never overwritten"
        return UpstreamError(brief, details=said, hint=hint)

    def _git(self, *words: str) -> Completed:
        proxy = Proxy.of(self.settings)
        return self.index(
            *words,
            env={"GIT_ASKPASS": "", **(proxy.environment if proxy else {})},
            config={"http.followRedirects": "false", **self.token.git_config(self._url)},
            check=False,
        )

    def _said(self, done: Completed) -> str:
        """What git said, without the token, should a server have repeated it."""
        return self.token.hidden_in(f"{done.text}\n{done.complaint}".strip())


def require_own_host(repository: Repository, host: str, settings: Settings) -> None:
    """Raise unless a repository's git URL is where the token may go: at its host, by https.

    Raises:
        UpstreamError: It is elsewhere.
    """
    url = urlsplit(repository.clone_url)
    known = {host, urlsplit(api_of(host, settings)).hostname}
    if url.hostname not in known or (url.scheme != "https" and url.hostname not in LOOPBACK):
        raise UpstreamError(
            f"{repository.full_name} is at {url.scheme}://{url.netloc.rpartition('@')[2]}, and the token is for "
            f"https://{host} alone",
            hint="see github_api in the settings: its server names other hosts for git",
        )


def made_fork(github: GitHub, name: str, *, organization: str, settings: Settings) -> Repository:
    """Fork a repository, and wait until GitHub shows it.

    Args:
        github: As who forks.
        name: The repository, `owner/name`.
        organization: Who is to have the fork; the user, if empty.
        settings: How long it is waited for.

    Raises:
        UpstreamError: It refuses, has another repository of that name, or does not show it in time.
    """
    fork = github.fork(name, organization=organization)
    waits = _waits(fork.full_name, settings)
    while (there := github.find_repository(fork.full_name)) is None:
        if not next(waits, False):
            hint = "it is made by and by: run the same command again"
            raise UpstreamError(f"the new fork {fork.full_name} is not there yet", hint=hint)
    require_fork(there, name)
    return there


def _waits(name: str, settings: Settings) -> Iterator[bool]:
    """Wait for a new fork, twice as long each time, and say that it was waited; ends when the time is over."""
    until, pause = monotonic() + max(settings.github_wait, LEAST), PAUSE
    while monotonic() + pause <= until:
        log.info("%s is not there yet; waiting %.0f s", name, pause)
        sleep(pause)
        yield True
        pause *= 2
