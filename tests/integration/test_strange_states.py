# SPDX-License-Identifier: Apache-2.0
"""States that accidents leave: each is told with its way out, and none ends in a traceback."""

import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bigtop_builder.artifact import read_deb
from bigtop_builder.errors import SigningError
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import layout
from bigtop_builder.repository.check import examine
from bigtop_builder.repository.founding import let_snapshots_expire
from bigtop_builder.repository.layout import SuiteSettings
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.refresh import refresh
from bigtop_builder.run import Completed

Tool = Callable[..., Completed]
DebMaker = Callable[..., Path]


def add(repository: Repository, file: Path, keyring: Keyring, suite: str = "stable") -> str:
    return repository.add(suite, [read_deb(file)], keyring=keyring, new_suite=True).snapshot


def problems(repository: Repository) -> tuple[str, ...]:
    return examine(repository.state, now=datetime.now(UTC)).problems


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("Valid-Until", "Wed, 23 Eec 2026 19:08:46 UTC", "is damaged"),
        ("X-Serial", "\u00b2", "names no snapshot"),
        ("X-Serial", "0", "names no snapshot"),
        ("X-Serial", "9" * 5000, "names no snapshot"),
        ("X-Snapshot", "../../etc", "names no snapshot"),
        ("Date", "Fri, 31 Dec 9999 23:59:59 -2300", "is damaged"),
    ],
)
def test_a_spoilt_field_of_inrelease_is_told_and_mended(  # fixtures
    field: str, value: str, said: str, repository: Repository, keyring: Keyring, deb: DebMaker, tool: Tool
) -> None:
    repository.define("stable", SuiteSettings(codename="stable", valid_days=30))
    snapshot = add(repository, deb("zoo"), keyring)
    file = (Path(repository.store.name) / "dists/stable/InRelease").resolve()
    changed = re.sub(rf"^{field}: .*$", f"{field}: {value}", file.read_text(), flags=re.MULTILINE)
    assert changed != file.read_text()
    file.write_text(changed, encoding="utf-8")
    for words in (["check"], ["list"], ["refresh"], ["history", "stable"]):
        done = tool(*words)
        assert done.returncode == 1, words
        assert said in done.complaint
        assert "Traceback" not in done.complaint
    (again,) = refresh(repository, ["stable"], keyring=keyring)
    assert again.snapshot == snapshot
    assert problems(repository) == ()


def test_a_suite_that_older_settings_lack_is_a_problem_and_refresh_takes_it_up(
    repository: Repository, keyring: Keyring, deb: DebMaker, tool: Tool
) -> None:
    add(repository, deb("zoo"), keyring)
    file = Path(repository.store.name, layout.SETTINGS)
    older = file.read_bytes()
    repository_of_testing = SuiteSettings(codename="tested", description="Tested", valid_days=30)
    repository.define("testing", repository_of_testing)
    for version in ("1", "2"):
        add(repository, deb("zoo", version), keyring, "testing")
    newer = repository.state.settings().suites["testing"]
    file.write_bytes(older)
    way_out = "bigtop-builder repo refresh testing takes it up as it stands"
    (problem,) = problems(repository)
    assert problem.startswith("dists/testing is a suite that state/repository.json does not have: ")
    assert way_out in problem
    for words in (["rollback", "testing"], ["remove", "testing", "zoo=2"]):
        done = tool(*words)
        assert done.returncode == 1
        assert way_out in done.complaint
        assert "Traceback" not in done.complaint
    done = tool("refresh", "testing")
    assert done.returncode == 0, done.complaint
    there = repository.state.settings().suites["testing"]
    assert (there.codename, there.description, there.valid_days) == ("tested", "Tested", 30)
    assert newer.codename == there.codename
    assert problems(repository) == ()
    assert repository.rollback("testing", keyring=keyring).changed


def test_a_rollback_that_worked_is_told_so_though_what_it_left_is_lost(
    repository: Repository, keyring: Keyring, deb: DebMaker, tool: Tool
) -> None:
    first, second = (add(repository, deb("zoo", version), keyring) for version in ("1", "2"))
    Path(repository.store.name, layout.snapshot_file(second)).unlink()
    done = tool("rollback", "stable")
    assert done.returncode == 0, done.complaint
    assert "stable was switched; which packages come and go is not known" in done.complaint
    pointer = repository.state.unverified_pointer("stable")
    assert pointer
    assert pointer.snapshot == first


def test_snapshots_that_would_be_valid_longer_than_their_key_are_refused(
    tmp_path: Path, deb: DebMaker, caplog: pytest.LogCaptureFixture
) -> None:
    keys = KeyStore(tmp_path / "short")
    keys.new("Ann Bee", "ann@bee.example", expires="60d")
    caplog.set_level(logging.ERROR)
    with keys.open() as keyring:
        repository = Repository.init(
            tmp_path / "apt", origin="Ours", keyring=keyring, fingerprints=keys.fingerprints(), sync=False
        )
        with repository.state.lock():
            let_snapshots_expire(repository.state, 365)
        with pytest.raises(SigningError, match="before Valid-Until"):
            add(repository, deb("zoo"), keyring)
        with repository.state.lock():
            let_snapshots_expire(repository.state, 50)
        own = repository.state.unverified_pointer(layout.snapshot_suite(add(repository, deb("zoo"), keyring)))
    assert own
    assert own.until == own.date + timedelta(days=50)


def test_a_history_whose_newest_entry_leads_elsewhere_is_a_problem_that_refresh_mends(
    repository: Repository, keyring: Keyring, deb: DebMaker, store: KeyStore
) -> None:
    """Two publishers wrote the same release at once: the one's InRelease stands, and the other's entry."""
    add(repository, deb("zoo", "1"), keyring)
    snapshot = add(repository, deb("zoo", "2"), keyring)
    entry = repository.state.entry("stable", 2)
    assert entry
    path = layout.history_file("stable", 2)
    text = entry.model_copy(update={"after": entry.before}).to_json().encode()
    signature = keyring.detach_sign(text, store.fingerprints())
    repository.store.put({path: text, f"{path}.asc": signature})
    (problem,) = problems(repository)
    assert problem.startswith(
        f"{path} says that stable went to snapshot {entry.before[:16]}, and it points to "
    )
    assert "bigtop-builder repo refresh stable" in problem
    (again,) = refresh(repository, ["stable"], keyring=keyring)
    assert again.snapshot == snapshot
    assert problems(repository) == ()
