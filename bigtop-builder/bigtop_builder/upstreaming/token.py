# SPDX-License-Identifier: Apache-2.0
"""The token for GitHub: where it is found, and how git is given it. It is told where it came from, never what it is.

Variables are those of GitHub's own program (gh-help-environment(1)): GH_TOKEN and GITHUB_TOKEN are for github.com
and the subdomains of ghe.com, GH_ENTERPRISE_TOKEN and GITHUB_ENTERPRISE_TOKEN for servers of one's own.
"""

import base64
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bigtop_builder.errors import InputError, UpstreamError
from bigtop_builder.run import run
from bigtop_builder.schema import digest
from bigtop_builder.settings import Settings

PUBLIC: Final = "github.com"
TENANTS: Final = ".ghe.com"
PUBLIC_VARIABLES: Final = ("GH_TOKEN", "GITHUB_TOKEN")
ENTERPRISE_VARIABLES: Final = ("GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN")
SECRET_VARIABLES: Final = (*PUBLIC_VARIABLES, *ENTERPRISE_VARIABLES, "BIGTOP_BUILDER_KEY_PASSPHRASE")
"""Variables that no program of others is given."""
FORM: Final = re.compile(r"[!-~]+")
"""What can stand in a header; what cannot would be shown by the HTTP library's own error."""
MANUAL: Final = "docs/upstreaming.md, Token, says which to make"


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token, which no text of this value shows.

    Attributes:
        secret: The token itself.
        host: GitHub host that it is for; it is sent to no other.
        origin: Where it came from, for people.
    """

    secret: str = field(repr=False)
    host: str
    origin: str

    @property
    def identity(self) -> str:
        """A hash that tells one token from another, and from which none can be had."""
        return digest("token", self.host, self.secret)

    def hidden_in(self, text: str) -> str:
        """A text of others without the token, should they have repeated it."""
        return text.replace(self.secret, "***")

    def git_config(self, url: str) -> dict[str, str]:
        """Configuration by which git sends the token to one URL and what is below it (git-config(1), http)."""
        login = base64.b64encode(f"x-access-token:{self.secret}".encode()).decode()
        return {f"http.{url}.extraHeader": f"Authorization: Basic {login}"}

    def git_environment(self, url: str) -> dict[str, str]:
        """Variables by which git sends the token to one URL and what is below it (git-config(1), GIT_CONFIG_COUNT).

        It is in no argument and no file. What the variables hold already stays.
        """
        first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
        ((key, value),) = self.git_config(url).items()
        return {
            "GIT_CONFIG_COUNT": str(first + 1),
            f"GIT_CONFIG_KEY_{first}": key,
            f"GIT_CONFIG_VALUE_{first}": value,
            "GIT_TERMINAL_PROMPT": "0",
        }


def find_token(host: str, settings: Settings) -> Token | None:
    """The token for a GitHub host: from a variable, the file of the settings, or gh's store, in that order.

    Raises:
        InputError: The file is readable by others, missing or malformed, or a token has white space in it.
    """
    names = PUBLIC_VARIABLES if _is_public(host) else ENTERPRISE_VARIABLES
    for name in names:
        if secret := os.environ.get(name, "").strip():
            return _token(secret, host, f"the variable {name}")
    if settings.github_token_file and (secret := _from_file(settings.github_token_file, host)):
        return _token(secret, host, f"the file {settings.github_token_file}")
    if shutil.which("gh") and (secret := run(["gh", "auth", "token", "--hostname", host], check=False).text):
        return _token(secret.strip(), host, "gh's store")
    return None


def require_token(host: str, settings: Settings) -> Token:
    """The token for a GitHub host.

    Raises:
        UpstreamError: There is none.
        InputError: As in `find_token`.
    """
    if token := find_token(host, settings):
        return token
    names = " or ".join(PUBLIC_VARIABLES if _is_public(host) else ENTERPRISE_VARIABLES)
    raise UpstreamError(
        f"there is no token for {host}",
        details=f"looked in {names}, in the file that github_token_file names, and in gh's store",
        hint=f"set {names.partition(' ')[0]}, or run gh auth login; {MANUAL}",
    )


def _is_public(host: str) -> bool:
    return host == PUBLIC or host.endswith(TENANTS)


def _token(secret: str, host: str, origin: str) -> Token:
    if not FORM.fullmatch(secret):
        raise InputError(
            f"the token for {host} from {origin} has white space or other than ASCII in it",
            hint="copy it anew: a token is one word of letters, digits and _",
        )
    return Token(secret=secret, host=host, origin=origin)


def _from_file(path: Path, host: str) -> str:
    """The token for a host: a line `HOST TOKEN`; a line with a token alone is for github.com."""
    try:
        mode, lines = path.stat().st_mode, path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"github_token_file {path} cannot be read: {getattr(error, 'strerror', 'no UTF-8')}",
            hint="name a file that you may read, or leave the setting out",
        ) from None  # a decoding error holds the bytes
    if mode & 0o077:
        raise InputError(f"others can read {path}, which holds a token", hint=f"chmod 600 {path}")
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if words[2:]:
            raise InputError(
                f"{path}:{number}: more than two words", hint="write `HOST TOKEN`, or a token alone"
            )
        if words and (words[0] if words[1:] else PUBLIC) == host:
            return words[-1]
    return ""
