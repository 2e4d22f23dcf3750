# SPDX-License-Identifier: Apache-2.0
"""Bare git mirrors: each repository is cloned once, and asked again only for a commit that is not there.

A clone leaves out file contents where the server allows it (git's partial clone, `--filter=blob:none`); they
come when they are read, or at once with `Mirror.complete`. It is made under another name and renamed when it
is whole. A repository on this machine is used where it is.

The URL is handed to git in its environment: it is in no argv and no config file, may hold a password, and may
change between runs.
"""

import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Self

from filelock import FileLock

from bigtop_builder.download import shown
from bigtop_builder.errors import ONCE_ONLINE, BuilderError, EnvironmentMissing, TreeError
from bigtop_builder.proxy import Proxy
from bigtop_builder.run import Completed, run
from bigtop_builder.schema import counted, digest
from bigtop_builder.settings import Settings
from bigtop_builder.workspace import Workspace

log = logging.getLogger(__name__)

TAGS: Final = "+refs/tags/*:refs/tags/*"
EVERYTHING: Final = ("+refs/heads/*:refs/heads/*", TAGS)
FOLLOWED: Final = "bigtop-builder-followed"
"""File in a mirror whose time says when a branch was fetched for its newest commit."""
FETCH: Final = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head")
WITHOUT_CONTENTS: Final = "--filter=blob:none"
FORBIDDEN: Final = re.compile(
    r"insufficient permission for adding|Read-only file system|"
    r"(?:unable to|could not|cannot|can't|failed to) [^\n]*: Permission denied",
)
"""What git says when the file system refuses it; ssh's "user@host: Permission denied" is none of it."""
CLEAN: Final = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
"""Nothing of the user's or the system's configuration counts (git(1), Environment Variables)."""
IN_RECIPE: Final = "see `repository` in the recipe"


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """A bare repository that has what was asked for.

    Attributes:
        path: The git folder.
        url: Where it is fetched from, after `mirrors.git`; empty for a repository of this machine.
        proxy: HTTP proxy that git uses; None for its own choice.
        cache: The cache, for errors; None if that is not known.
        offline: Nothing is fetched.
    """

    path: Path
    url: str
    proxy: Proxy | None = None
    cache: Path | None = None
    offline: bool = False

    @classmethod
    def ensure(
        cls,
        url: str,
        commit: str,
        *,
        ref: str = "",
        workspace: Workspace,
        settings: Settings,
        base: Path | None = None,
    ) -> Self:
        """Return a mirror of `url` that has `commit`.

        Args:
            url: As in the recipe; `mirrors.git` of the settings may name another place. A path is used as
                it is.
            commit: 40 hex digits.
            ref: Tag or branch that is fetched first if the commit is missing.
            workspace: Holds the mirrors.
            settings: For `mirrors.git` and the proxy.
            base: Folder that a relative path starts from.

        Raises:
            TreeError: The repository cannot be had, or has no such commit.
        """
        mirror = cls(**_place(url, workspace, settings, base))
        if not mirror.url and not mirror._has(commit):
            raise _no_commit(commit, str(mirror.path), hint=f"git -C {mirror.path} fetch, or see the recipe")
        if not mirror._has(commit):
            with mirror._cloned(workspace):
                mirror._bring(commit, ref)
        return mirror

    @classmethod
    def find(
        cls, url: str, commit: str, *, workspace: Workspace, settings: Settings, base: Path | None = None
    ) -> Self | None:
        """Return a mirror that has the commit and is on this machine, or None: nothing is fetched or made."""
        place = settings.mirrors.git.get(url, url)
        try:
            found = _git_folder((base or Path()) / place.removeprefix("file://")) if is_path(place) else None
        except TreeError:  # it is no repository
            return None
        path = found or workspace.mirrors / _name(url)
        mirror = cls(path=path, url="", cache=workspace.root)
        return mirror if mirror._has(commit) else None

    @classmethod
    def follow(cls, url: str, branch: str, *, workspace: Workspace, settings: Settings) -> tuple[Self, str]:
        """Return a mirror of `url` with the newest commit of a branch, its tags, and that commit.

        Of a repository of this machine, and of any when offline, it is the newest that was fetched: see `fetched`.

        Args:
            url: As in `ensure`.
            branch: Its name.
            workspace: Holds the mirrors.
            settings: For `mirrors.git` and the proxy.

        Raises:
            TreeError: The repository cannot be had, or has no such branch.
        """
        mirror = cls(**_place(url, workspace, settings, None))
        if mirror.url:
            with mirror._cloned(workspace):
                if not settings.offline:
                    mirror._bring_branch(branch)
        if commit := mirror.find_branch(branch):
            return mirror, commit
        raise _no_branch(branch, mirror._shown)

    @classmethod
    def tagged(cls, url: str, *, workspace: Workspace, settings: Settings, base: Path | None = None) -> Self:
        """Return a mirror of `url` with the tags that its server has now.

        A repository of this machine, and any when offline, has those that were fetched.

        Args:
            url: As in `ensure`.
            workspace: Holds the mirrors.
            settings: For `mirrors.git` and the proxy.
            base: Folder that a relative path starts from.

        Raises:
            TreeError: The repository cannot be had.
        """
        mirror = cls(**_place(url, workspace, settings, base))
        if mirror.url:
            with mirror._cloned(workspace):
                if not settings.offline and (complaint := mirror._fetch(TAGS)):
                    raise mirror._unreachable(complaint)
        return mirror

    def tags(self) -> dict[str, str]:
        """Tag -> the commit that it is on, by name; tags of other things are left out."""
        form = "%(refname:strip=2)%09%(*objecttype) %(*objectname)%09%(objecttype) %(objectname)"
        listed = self.git("for-each-ref", f"--format={form}", "refs/tags").text
        rows = (line.split("\t") for line in listed.splitlines())
        found = ((name, (peeled.strip() or own).split()) for name, peeled, own in rows)
        return {name: commit for name, (kind, commit) in found if kind == "commit"}

    def find_branch(self, name: str) -> str:
        """The commit of a branch, empty if there is none; in a clone that somebody works in, that of its server."""
        for ref in (f"refs/remotes/origin/{name}", f"refs/heads/{name}"):
            found = self.git("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", check=False)
            if found.returncode == 0:
                return found.text
        return ""

    @property
    def fetched(self) -> float | None:
        """When `follow` fetched last, in seconds since 1970; None if it never did."""
        try:
            return (self.path / FOLLOWED).stat().st_mtime
        except FileNotFoundError:
            return None

    def git(
        self,
        *args: str | os.PathLike[str],
        env: Mapping[str, str] | None = None,
        config: Mapping[str, str] | None = None,
        stdin: bytes | IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
        check: bool = True,
        error: type[BuilderError] = TreeError,
    ) -> Completed:
        """Run git on this repository, with no configuration but its own and what is given here.

        Args:
            args: Its arguments.
            env: Further variables.
            config: Further configuration. It goes by the environment, and may be secret.
            stdin: For standard input.
            stdout: Takes standard output.
            check: Raise `error` when the exit status is not 0.
            error: Class of the error raised.

        Raises:
            BuilderError: git failed and `check` is set (the class given as `error`).
            EnvironmentMissing: It failed because it may not write a file here, whatever `check` is.
        """
        every = {"safe.directory": str(self.path), "gc.auto": "0", "core.quotePath": "false"}
        every |= {"remote.origin.url": self.url} if self.url else {}
        proxy = self.proxy.environment if self.proxy else {}
        # git(1), GIT_ALLOW_PROTOCOL: a partial clone would fetch what it lacks by itself.
        allowed = {"GIT_ALLOW_PROTOCOL": "file"} if self.offline else {}
        done = run(
            ["git", *args],
            env={
                "GIT_DIR": str(self.path),
                **CLEAN,
                **configured(every | {**(config or {})}),
                **proxy,
                **allowed,
                **(env or {}),
            },
            stdin=stdin,
            stdout=stdout,
            check=False,
        )
        if done.returncode and FORBIDDEN.search(done.complaint):
            raise self._forbidden(done.complaint)
        return done.checked(error) if check else done

    def complete(self, treeish: str, *, env: Mapping[str, str] | None = None) -> None:
        """Fetch all contents of a tree that a partial clone still lacks, in one go.

        Args:
            treeish: Commit or tree.
            env: Variables for git, as for `git`.

        Raises:
            TreeError: Some are missing and cannot be fetched.
        """
        listed = self.git("rev-list", "--objects", "--missing=print", f"{treeish}^{{tree}}", env=env).text
        missing = [line[1:] for line in listed.splitlines() if line.startswith("?")]
        if not missing:
            return
        complaint = self._fetch_contents(missing, treeish, env)
        if complaint:
            tree = self.git("ls-tree", "-r", "-z", "--full-tree", treeish, env=env).text.split("\0")
            names = [line.partition("\t")[2] for line in tree if line and line.split()[2] in missing]
            raise TreeError(
                f"{self.path} lacks {len(missing)} files of {treeish}, and they cannot be fetched",
                details="\n".join([*names[:5], shown(complaint)]),
                hint=ONCE_ONLINE
                if self.offline
                else "it is a partial clone: make its server reachable, or name a full one in mirrors.git",
            )

    def _fetch_contents(self, missing: Sequence[str], treeish: str, env: Mapping[str, str] | None) -> str:
        """Fetch objects; return what git complained of, empty if it worked."""
        remote = self.git("config", "extensions.partialClone", check=False).text or "origin"
        if remote not in self.git("remote").text.split():
            # `git fetch --filter` would write this name into the clone's configuration before it fails.
            return "it names no server that has them"
        log.info("fetching %s of %s from %s", counted(len(missing), "file"), treeish[:12], self._shown)
        done = self.git(
            *("-c", "fetch.negotiationAlgorithm=noop"),
            *(*FETCH, WITHOUT_CONTENTS),
            remote,
            "--stdin",
            stdin="".join(f"{oid}\n" for oid in missing).encode(),
            env=env,
            check=False,
        )
        return "" if done.returncode == 0 else done.complaint or f"exit status {done.returncode}"

    @property
    def _shown(self) -> str:
        return shown(self.url) or str(self.path)

    def _has(self, commit: str) -> bool:
        """Whether the commit is here, without asking the server, as a partial clone would."""
        if not self.path.is_dir():
            return False
        silent = Mirror(path=self.path, url="", cache=self.cache)
        done = silent.git(
            "cat-file", "-e", f"{commit}^{{commit}}", env={"GIT_NO_LAZY_FETCH": "1"}, check=False
        )
        return done.returncode == 0

    @contextmanager
    def _cloned(self, workspace: Workspace) -> Iterator[None]:
        """Keep other runs from the clone, which is made first if it is not there."""
        workspace.locks.mkdir(parents=True, exist_ok=True)
        with FileLock(workspace.locks / f"mirror-{self.path.name}.lock"):
            self._clone()
            yield

    def _clone(self) -> None:
        """Clone, unless that was done; what a clone that was cut off left behind is removed."""
        if self.path.is_dir():
            return
        log.info("cloning %s, once", self._shown)
        torn = self.path.with_suffix(".part")
        shutil.rmtree(torn, ignore_errors=True)
        torn.parent.mkdir(parents=True, exist_ok=True)
        begun = Mirror(path=torn, url=self.url, proxy=self.proxy, cache=self.cache, offline=self.offline)
        begun.git("init", "--quiet", "--bare", "--template=", torn)
        options = [WITHOUT_CONTENTS] if begun._offers_filter() else []
        if complaint := begun._fetch(*EVERYTHING, options=options):
            shutil.rmtree(torn)
            raise self._unreachable(complaint)
        torn.rename(self.path)

    def _bring(self, commit: str, ref: str) -> None:
        """Fetch the commit if it is missing: with its ref, with all refs, by its own id."""
        complaints = []
        refs = [(f"+{ref}:refs/fetched/{ref}",)] if ref else []
        for refspecs in (*refs, EVERYTHING, (f"+{commit}:refs/fetched/{commit}",)):
            if self._has(commit):
                return
            log.info("fetching %s from %s", ref or commit[:12], self._shown)
            complaints.append(self._fetch(*refspecs))
        if self._has(commit):
            return
        if all(complaints):
            raise self._unreachable(complaints[-2])
        hint = "see that `commit` and `repository` in the recipe belong together"
        raise _no_commit(commit, self._shown, hint=hint)

    def _bring_branch(self, branch: str) -> None:
        """Fetch a branch as it is now, and all tags."""
        name = f"refs/heads/{branch}"
        complaint = self._fetch(f"+{name}:{name}", TAGS)
        if f"couldn't find remote ref {name}" in complaint:
            raise _no_branch(branch, self._shown)
        if complaint:
            raise self._unreachable(complaint)
        (self.path / FOLLOWED).touch()

    def _offers_filter(self) -> bool:
        """Whether the server says that it can leave out contents (gitprotocol-v2, `filter`).

        It is not just tried: on a server with git's dumb HTTP protocol, git then calls itself without end
        (measured, 2.39).
        """
        said = self.git("ls-remote", "origin", "HEAD", env={"GIT_TRACE_PACKET": "1"}, check=False).complaint
        return bool(re.search(r"< .*\bfilter\b", said))

    def _fetch(self, *refspecs: str, options: Sequence[str] = ()) -> str:
        """Fetch refs; return what git complained of, empty if it worked.

        A partial clone remembers its filter (git-config(1), remote.<name>.partialclonefilter).
        """
        done = self.git(*FETCH, *options, "origin", *refspecs, check=False)
        return "" if done.returncode == 0 else shown(done.complaint) or f"exit status {done.returncode}"

    def _forbidden(self, complaint: str) -> EnvironmentMissing:
        own = not self.url and str(self.path) in complaint
        folder = self.path if own else self.cache or self.path
        return EnvironmentMissing(
            f"git may not read or write below {folder}: files there are another user's, or it is read-only",
            details=shown(complaint),
            hint=f'sudo chown -R "$(id -un)" {folder}, or name another folder as cache_dir in the settings',
        )

    def _unreachable(self, complaint: str) -> TreeError:
        return TreeError(
            f"git repository {self._shown} cannot be fetched",
            details=complaint,
            hint=ONCE_ONLINE
            if self.offline
            else "name a URL or clone that this machine reaches in mirrors.git of the settings",
        )


def configured(config: Mapping[str, str]) -> dict[str, str]:
    """Git configuration as variables (git-config(1), GIT_CONFIG_COUNT)."""
    variables = {"GIT_CONFIG_COUNT": str(len(config))}
    for number, (key, value) in enumerate(config.items()):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


def _place(url: str, workspace: Workspace, settings: Settings, base: Path | None) -> dict[str, Any]:
    """What makes the mirror of a URL, be it there or not."""
    place = settings.mirrors.git.get(url, url)
    if is_path(place):
        hint = f"mirrors.git of the settings names it for {url}: mend that" if place != url else IN_RECIPE
        path = _git_folder((base or Path()) / place.removeprefix("file://"), hint=hint)
        return {"path": path, "url": "", "cache": workspace.root}
    return {
        "path": workspace.mirrors / _name(url),
        "url": place,
        "proxy": Proxy.of(settings),
        "cache": workspace.root,
        "offline": settings.offline,
    }


def is_path(place: str) -> bool:
    """Whether git would read it as a path: no scheme, and no colon before the first slash (git-fetch(1))."""
    return place.startswith("file://") or not re.match(r"[^/]*:", place)


def _git_folder(path: Path, *, hint: str = IN_RECIPE) -> Path:
    """The git folder of a bare repository, a clone or a linked work tree; without `..` where links allow it.

    Args:
        path: A folder.
        hint: What named it, for the error.
    """
    inner = path / ".git"
    if inner.is_file():
        inner = path / inner.read_text().removeprefix("gitdir:").strip()
    for folder in (inner, path):
        if (folder / "HEAD").is_file():
            plain = Path(os.path.normpath(folder.absolute()))
            return plain if plain.exists() and plain.samefile(folder) else folder.absolute()
    if path.name == "bigtop.git" and not path.exists():
        hint += "; a project with the miniature's is made by bigtop-builder quickstart --only-project --dir FOLDER"
    raise TreeError(f"{path} is no git repository", hint=hint)


def _name(url: str) -> str:
    """Folder name of a URL's mirror: readable, and its own."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", shown(url).removesuffix(".git")).strip("-")
    return f"{words[-40:].strip('-')}-{digest(url)[:16]}.git"


def _no_commit(commit: str, where: str, *, hint: str) -> TreeError:
    return TreeError(f"commit {commit} is not in {where}", hint=hint)


def _no_branch(branch: str, where: str) -> TreeError:
    return TreeError(
        f"{where} has no branch {branch}", hint="see `base` of the project in patches/upstream.toml"
    )
