# SPDX-License-Identifier: Apache-2.0
"""Sources from their candidates to dl/: what is chosen, fetched, verified, refused and pinned."""

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from git_server import new_repository, serving_git
from website import Website, serving

from bigtop_builder import download as download_module
from bigtop_builder.acquire import location
from bigtop_builder.errors import EnvironmentMissing, InputError, SourceError
from bigtop_builder.openpgp import Keyring
from bigtop_builder.pinning import Pin, pin, pin_first, write_pin
from bigtop_builder.recipe import Component, Source
from bigtop_builder.settings import Mirrors, Settings, SourceSettings
from bigtop_builder.sources import fetch, form_of, select
from bigtop_builder.workspace import Workspace

PIN = "1" * 128
OTHER = "2" * 128
APACHE = Source(kind="apache", path="thing/thing-1.0-src.tar.gz")
MAVEN = Source(kind="maven", coordinates="org.example.thing:parent:1.0:source-release:zip")


def tarball(text: bytes = b"text\n", top: str = "thing-1.0-src") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        info = tarfile.TarInfo(f"{top}/README")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    return out.getvalue()


BODY = tarball()
SHA512 = hashlib.sha512(BODY).hexdigest()


def pinned(source: Source, sha512: str = SHA512) -> Source:
    return source.model_copy(update={"sha512": sha512})


def component(*sources: Source) -> Component:
    return Component(name="thing", sources=sources)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "BACKOFF", 0.001)


@pytest.fixture
def site() -> Iterator[Website]:
    with serving() as site:
        site.files["/dist/thing/thing-1.0-src.tar.gz"] = BODY
        yield site


@pytest.fixture
def settings(site: Website, tmp_path: Path) -> Settings:
    mirrors = Mirrors(apache=f"{site.url}/dist", archive=f"{site.url}/archive/", maven=f"{site.url}/maven2")
    return Settings(cache_dir=tmp_path / "cache", mirrors=mirrors)


@pytest.fixture
def recipe_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "recipes"
    folder.mkdir()
    return folder


Fetch = Callable[..., Path]


@pytest.fixture
def get(settings: Settings, recipe_dir: Path) -> Fetch:
    def get(*sources: Source, destination: str = "thing-1.0.tar.gz", form: str = "tar.gz") -> Path:
        return fetch(
            sources[0],
            component=component(*sources),
            destination=destination,
            top="thing-1.0",
            form=form,  # type: ignore[arg-type]  # a plain string is enough here
            workspace=Workspace(settings.cache_dir),
            settings=settings,
            recipe_dir=recipe_dir,
        )

    return get


PinIt = Callable[..., Pin]


@pytest.fixture
def pin_it(settings: Settings, recipe_dir: Path) -> PinIt:
    def pin_it(source: Source, *, trust_first_use: bool = False) -> Pin:
        return pin(
            source,
            workspace=Workspace(settings.cache_dir),
            settings=settings,
            recipe_dir=recipe_dir,
            trust_first_use=trust_first_use,
        )

    return pin_it


def names(path: Path) -> list[str]:
    with tarfile.open(path) as tar:
        return tar.getnames()


def all_files(settings: Settings) -> list[str]:
    return sorted(path.name for path in (settings.cache_dir / "sources").rglob("*") if path.is_file())


def test_the_first_pinned_candidate_is_taken() -> None:
    chosen = component(APACHE, pinned(MAVEN, PIN), pinned(APACHE, OTHER))

    assert select(chosen, Settings()) == pinned(MAVEN, PIN)


def test_without_a_pin_the_first_candidate_is_taken_and_without_candidates_none() -> None:
    assert select(component(APACHE, MAVEN), Settings()) == APACHE
    assert select(component(), Settings()) is None


def test_only_kinds_that_the_site_uses_are_taken() -> None:
    settings = Settings(sources=SourceSettings(kinds=("maven",)))

    assert select(component(pinned(APACHE, PIN), MAVEN), settings) == MAVEN
    assert select(component(APACHE), settings) is None


@pytest.mark.parametrize(
    ("source", "where"),
    [
        (APACHE, "/dist/thing/thing-1.0-src.tar.gz"),
        (Source(kind="archive", path="t/t.tgz"), "/archive/t/t.tgz"),
        (MAVEN, "/maven2/org/example/thing/parent/1.0/parent-1.0-source-release.zip"),
        (Source(kind="maven", coordinates="g:a:1::tar.gz"), "/maven2/g/a/1/a-1.tar.gz"),
    ],
)
def test_a_candidate_is_looked_for_on_the_sites_mirrors(
    site: Website, settings: Settings, source: Source, where: str
) -> None:
    assert location(source, settings) == site.url + where


@pytest.mark.parametrize(
    ("tarball_source", "form"), [("a.zip", "zip"), ("a.tar.gz", "tar.gz"), (None, "tar.gz")]
)
def test_gradle_gets_a_zip_where_it_unzips(tarball_source: str | None, form: str) -> None:
    assert form_of(tarball_source) == form


def test_a_source_is_fetched_and_repacked_once(site: Website, get: Fetch) -> None:
    path = get(pinned(APACHE))

    assert path.name == "thing-1.0.tar.gz"
    assert names(path) == ["thing-1.0", "thing-1.0/README"]
    assert get(pinned(APACHE)) == path
    assert site.count("/dist/thing/thing-1.0-src.tar.gz") == 1


def test_a_zip_keeps_its_form_under_the_name_that_bigtop_wants(site: Website, get: Fetch) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("groovy-1/lib/a.jar", b"jar")
    site.files["/x.zip"] = out.getvalue()
    source = Source(kind="url", url=f"{site.url}/x.zip", sha512=hashlib.sha512(out.getvalue()).hexdigest())

    path = get(source, destination="bigtop-groovy-1.tar.gz", form="zip")

    assert zipfile.ZipFile(path).namelist() == ["thing-1.0/", "thing-1.0/lib/", "thing-1.0/lib/a.jar"]


@pytest.mark.parametrize("what", ["download", "thing-1.0.tar.gz"])
def test_a_torn_file_in_the_cache_is_made_again(settings: Settings, get: Fetch, what: str) -> None:
    path = get(pinned(APACHE))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    torn = next(settings.cache_dir.rglob(what))
    torn.write_bytes(torn.read_bytes()[:-1])

    assert get(pinned(APACHE)).read_bytes() == whole


def test_an_unpinned_source_is_refused(get: Fetch) -> None:
    with pytest.raises(SourceError, match=r"thing: source apache:thing/.* is unpinned") as caught:
        get(APACHE)

    assert caught.value.hint == "bigtop-builder source fetch RELEASE -c thing --pin"


def test_a_wrong_checksum_is_an_error_and_nothing_stays(
    site: Website, settings: Settings, get: Fetch
) -> None:
    with pytest.raises(SourceError) as caught:
        get(pinned(APACHE, PIN))

    assert caught.value.brief == f"thing: {site.url}/dist/{APACHE.path} is not what its pin says"
    assert PIN in caught.value.details
    assert SHA512 in caught.value.details
    assert all_files(settings) == []


def test_a_missing_source_is_had_from_the_next_candidate_with_the_same_pin(site: Website, get: Fetch) -> None:
    gone = Source(kind="archive", path="gone.tar.gz", sha512=SHA512)

    assert get(gone, MAVEN, pinned(APACHE)).is_file()
    assert site.count("/archive/gone.tar.gz") == 1


def test_wrong_bytes_at_one_candidate_do_not_stop_the_next(site: Website, get: Fetch) -> None:
    site.files["/archive/bad.tar.gz"] = b"bad"

    assert get(Source(kind="archive", path="bad.tar.gz", sha512=SHA512), pinned(APACHE)).is_file()


def test_when_all_fail_each_url_and_the_unpinned_rest_is_named(site: Website, get: Fetch) -> None:
    first = Source(kind="archive", path="gone.tar.gz", sha512=SHA512)
    second = Source(kind="apache", path="lost.tar.gz", sha512=SHA512)

    with pytest.raises(SourceError) as caught:
        get(first, second, MAVEN)

    assert caught.value.brief.startswith(f"thing: {site.url}/archive/gone.tar.gz cannot be fetched")
    assert f"{site.url}/dist/lost.tar.gz" in caught.value.details
    assert f"to be pinned first: {MAVEN.where}" in caught.value.hint


def test_a_download_that_was_cut_off_goes_on_in_the_next_run(site: Website, get: Fetch) -> None:
    path = f"/dist/{APACHE.path}"
    site.cuts[path] = [10] * download_module.ATTEMPTS
    with pytest.raises(SourceError, match=f"{site.url}{path} cannot be fetched"):
        get(pinned(APACHE))

    assert get(pinned(APACHE)).is_file()
    assert site.last(path)["Range"] == f"bytes={10 * download_module.ATTEMPTS}-"


def test_a_hostile_archive_is_never_repacked(site: Website, settings: Settings, get: Fetch) -> None:
    body = tarball(top="../thing")
    site.files["/evil.tar.gz"] = body
    source = Source(kind="url", url=f"{site.url}/evil.tar.gz", sha512=hashlib.sha512(body).hexdigest())

    with pytest.raises(SourceError, match=r"evil\.tar\.gz: entry '\.\./thing/README' has `\.\.`"):
        get(source)

    assert all_files(settings) == ["download"]


def test_a_full_disk_is_named(settings: Settings, recipe_dir: Path, get: Fetch) -> None:
    (recipe_dir / "a.tar.gz").write_bytes(BODY)
    part = settings.cache_dir / "sources" / SHA512 / "download.part"
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")

    with pytest.raises(EnvironmentMissing, match="no space left") as caught:
        get(Source(kind="file", file="a.tar.gz", sha512=SHA512))

    assert "cache_dir" in caught.value.hint


def test_a_local_archive_and_a_local_folder_are_sources(recipe_dir: Path, get: Fetch, pin_it: PinIt) -> None:
    (recipe_dir / "a.tar.gz").write_bytes(BODY)
    (recipe_dir / "thing").mkdir()
    (recipe_dir / "thing/README").write_bytes(b"text\n")
    folder = Source(kind="file", file="thing")

    found = pin_it(folder)
    packed = get(folder.model_copy(update={"sha512": found.sha512})).read_bytes()

    assert found.checked == "local file"
    assert packed == get(Source(kind="file", file="a.tar.gz", sha512=SHA512)).read_bytes()
    (recipe_dir / "thing/README").write_bytes(b"changed\n")
    with pytest.raises(SourceError, match="file:thing is not what its pin says"):
        get(folder.model_copy(update={"sha512": OTHER}))


def test_a_local_file_that_is_not_there_is_named(get: Fetch) -> None:
    with pytest.raises(SourceError, match=r"file:none\.tar\.gz is neither a file nor a folder"):
        get(Source(kind="file", file="none.tar.gz", sha512=PIN))


def test_a_commit_has_one_pin_whatever_its_attributes_clone_and_configuration(
    recipe_dir: Path, get: Fetch, pin_it: PinIt
) -> None:
    origin = new_repository(recipe_dir / "origin")
    origin.git("config", "uploadpack.allowFilter", "true")
    (origin.path / "link").symlink_to("sub/run")
    attributes = "left-out export-ignore\nversion export-subst\n*.cmd text eol=crlf\n"
    commit = origin.commit(
        **{"version": "$Format:%h$\n", "left-out": "here\n", "a.cmd": "x\n", ".gitattributes": attributes}
    )
    (origin.path / "sub").mkdir()
    (origin.path / "sub/run").write_text("#!/bin/sh\n")
    (origin.path / "sub/run").chmod(0o755)
    commit = origin.commit()
    source = Source(kind="git", repository="origin", commit=commit)

    local = pin_it(source)
    with serving_git(recipe_dir) as server:
        remote = pin_it(source.model_copy(update={"repository": f"{server.url}/origin"}))

    assert local == remote == Pin(sha512=local.sha512, checked="git commit")
    with tarfile.open(get(source.model_copy(update={"sha512": local.sha512}))) as tar:
        assert tar.extractfile("thing-1.0/version").read() == b"$Format:%h$\n"  # type: ignore[union-attr]
        assert tar.extractfile("thing-1.0/a.cmd").read() == b"x\n"  # type: ignore[union-attr]
        assert tar.getmember("thing-1.0/sub/run").mode == 0o755
        assert tar.getmember("thing-1.0/link").linkname == "sub/run"
        assert "thing-1.0/left-out" in tar.getnames()


def test_another_commit_with_the_old_pin_is_refused_though_the_old_one_is_in_the_cache(
    recipe_dir: Path, get: Fetch, pin_it: PinIt
) -> None:
    origin = new_repository(recipe_dir / "origin")
    old = Source(kind="git", repository="origin", commit=origin.commit(a="1\n"))
    old = old.model_copy(update={"sha512": pin_it(old).sha512})
    get(old)
    new = old.model_copy(update={"commit": origin.commit(a="2\n")})

    with pytest.raises(SourceError, match=f"origin@{new.commit[:12]} is not what its pin says"):
        get(new)
    with pytest.raises(SourceError, match="is not what its pin says"):
        pin_it(new)
    assert get(old).is_file()


def test_a_commit_with_a_submodule_is_refused(recipe_dir: Path, pin_it: PinIt) -> None:
    origin = new_repository(recipe_dir / "origin")
    inner = origin.commit(a="1\n")
    origin.git("update-index", "--add", "--cacheinfo", f"160000,{inner},vendor/inner")
    origin.git("commit", "--quiet", "-m", "submodule")
    commit = origin.git("rev-parse", "HEAD")

    with pytest.raises(SourceError, match="has a submodule, vendor/inner"):
        pin_it(Source(kind="git", repository="origin", commit=commit))


def test_a_commit_that_is_not_there_is_a_failed_source(recipe_dir: Path, get: Fetch, pin_it: PinIt) -> None:
    new_repository(recipe_dir / "origin").commit(a="1\n")

    with pytest.raises(SourceError, match=f"commit {'0' * 40} is not in"):
        pin_it(Source(kind="git", repository="origin", commit="0" * 40))
    with pytest.raises(SourceError, match=f"thing: commit {'0' * 40} is not in"):
        get(Source(kind="git", repository="origin", commit="0" * 40, sha512=PIN))


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "{}  thing-1.0-src.tar.gz\n",
        "SHA512 (thing-1.0-src.tar.gz) = {}\n",
        "thing-1.0-src.tar.gz: {grouped}\n",
    ],
)
def test_a_checksum_beside_it_speaks_for_a_pin(site: Website, pin_it: PinIt, text: str) -> None:
    upper = SHA512.upper()
    lines = [" ".join(upper[i : i + 8] for i in range(start, start + 32, 8)) for start in range(0, 128, 32)]
    site.files[f"/dist/{APACHE.path}.sha512"] = text.format(SHA512, grouped="\n    ".join(lines)).encode()

    assert pin_it(APACHE) == Pin(sha512=SHA512, checked=".sha512 beside it")


def test_mavens_weaker_checksum_is_recorded_as_what_it_is(site: Website, get: Fetch, pin_it: PinIt) -> None:
    source = Source(kind="maven", coordinates="g:a:1:src:tar.gz")
    site.files["/maven2/g/a/1/a-1-src.tar.gz"] = BODY
    site.files["/maven2/g/a/1/a-1-src.tar.gz.sha1"] = (
        hashlib.sha1(BODY, usedforsecurity=False).hexdigest().encode()
    )

    assert pin_it(source) == Pin(sha512=SHA512, checked=".sha1 beside it")
    assert get(pinned(source)).is_file()
    assert site.count("/maven2/g/a/1/a-1-src.tar.gz") == 1


def test_a_checksum_that_differs_refuses_the_pin(site: Website, settings: Settings, pin_it: PinIt) -> None:
    site.files[f"/dist/{APACHE.path}.sha512"] = OTHER.encode()

    with pytest.raises(SourceError, match=rf"{APACHE.path} is not what .*\.sha512 says"):
        pin_it(APACHE)

    assert all_files(settings) == []


def test_with_nothing_to_verify_it_only_a_deliberate_pin_is_made(pin_it: PinIt) -> None:
    with pytest.raises(SourceError, match="nothing to verify") as caught:
        pin_it(APACHE)
    assert "--trust-first-use" in caught.value.hint

    assert pin_it(APACHE, trust_first_use=True) == Pin(sha512=SHA512, checked="first use")


def test_a_pin_that_is_there_is_not_changed_quietly(recipe_dir: Path, pin_it: PinIt) -> None:
    (recipe_dir / "a.tar.gz").write_bytes(BODY)
    for source in (APACHE, Source(kind="file", file="a.tar.gz")):
        with pytest.raises(SourceError, match="is not what its pin says"):
            pin_it(pinned(source, PIN), trust_first_use=True)


@pytest.fixture
def signed(site: Website, recipe_dir: Path) -> Source:
    """A source that is signed by a known key, whose file holds a second one."""
    with Keyring() as keyring:
        signer = keyring.new_key("Release", "release@example.org")
        other = keyring.new_key("Other", "other@example.org")
        (recipe_dir / "KEYS").write_bytes(b"Keys of thing\n\n" + keyring.export_public([other, signer]))
        site.files[f"/dist/{APACHE.path}.asc"] = keyring.detach_sign(BODY, [signer])
        site.files["/by-other.asc"] = keyring.detach_sign(BODY, [other])
    return APACHE.model_copy(update={"signed_by": (signer,), "keys": "KEYS"})


def test_a_signature_by_a_named_key_speaks_for_a_pin(signed: Source, get: Fetch, pin_it: PinIt) -> None:
    assert pin_it(signed) == Pin(sha512=SHA512, checked=f"signature by {signed.signed_by[0]}")
    assert get(pinned(signed)).is_file()


def test_the_keys_may_be_fetched(site: Website, recipe_dir: Path, signed: Source, pin_it: PinIt) -> None:
    site.files["/KEYS"] = (recipe_dir / "KEYS").read_bytes()

    assert pin_it(signed.model_copy(update={"keys": f"{site.url}/KEYS"})).checked.startswith("signature by")


def test_a_signature_by_another_key_does_not_count(site: Website, signed: Source, pin_it: PinIt) -> None:
    site.files[f"/dist/{APACHE.path}.asc"] = site.files["/by-other.asc"]

    with pytest.raises(SourceError, match=f"no good signature by {signed.signed_by[0]}"):
        pin_it(signed)


def test_a_signature_of_other_bytes_does_not_count(
    site: Website, settings: Settings, signed: Source, pin_it: PinIt
) -> None:
    site.files[f"/dist/{APACHE.path}"] = tarball(b"other\n")

    with pytest.raises(SourceError, match="no good signature"):
        pin_it(signed, trust_first_use=True)
    assert all_files(settings) == []


def test_a_pinned_source_with_named_signers_must_be_signed_too(
    site: Website, settings: Settings, signed: Source, get: Fetch
) -> None:
    site.files[f"/dist/{APACHE.path}.asc"] = b"nonsense"

    with pytest.raises(SourceError, match="no good signature"):
        get(pinned(signed))
    assert all_files(settings) == []


def test_named_signers_without_keys_are_refused(signed: Source, recipe_dir: Path, pin_it: PinIt) -> None:
    with pytest.raises(SourceError, match="no `keys`"):
        pin_it(signed.model_copy(update={"keys": ""}))
    (recipe_dir / "KEYS").write_text("no keys here")
    with pytest.raises(SourceError, match="KEYS holds no usable public keys"):
        pin_it(signed)


RECIPE = """\
# What this is for.
format = 1
release = "1.0"  # ours

[[components]]
name = "first"
sources = [{ kind = "url", url = "http://x" }]

[[components]]
name = "thing"

# Apache has it while it is current.
[[components.sources]]
kind = "apache"
path = "t.tar.gz"

[[components.sources]]
kind = "maven"
coordinates = "g:a:1::zip"  # the same, for good
"""


def test_a_pin_is_written_and_all_else_stays(tmp_path: Path) -> None:
    recipe = tmp_path / "1.0.toml"
    recipe.write_text(RECIPE)
    recipe.chmod(0o664)

    write_pin(recipe, "thing", 1, Pin(sha512=PIN, checked="first use"))
    write_pin(recipe, "first", 0, Pin(sha512=OTHER, checked=".sha1 beside it"))

    line = 'sources = [{ kind = "url", url = "http://x"'
    expected = RECIPE.replace(f"{line} }}", f'{line}, sha512 = "{OTHER}", checked = ".sha1 beside it"}}')
    assert recipe.read_text() == f'{expected}sha512 = "{PIN}"\nchecked = "first use"\n'
    assert recipe.stat().st_mode & 0o777 == 0o664
    assert list(tmp_path.iterdir()) == [recipe]


@pytest.mark.parametrize(("name", "index"), [("none", 0), ("thing", 2)])
def test_a_pin_for_a_source_that_is_not_there_is_refused(tmp_path: Path, name: str, index: int) -> None:
    recipe = tmp_path / "1.0.toml"
    recipe.write_text(RECIPE)

    with pytest.raises(InputError, match=f"component '{name}' has no source number {index + 1}"):
        write_pin(recipe, name, index, Pin(sha512=PIN, checked=""))
    assert recipe.read_text() == RECIPE


def test_of_a_components_candidates_the_first_that_can_be_had_is_pinned(
    site: Website, settings: Settings, recipe_dir: Path
) -> None:
    site.files[f"/dist/{APACHE.path}.sha512"] = f"{SHA512}  thing-1.0-src.tar.gz\n".encode()
    gone = Source(kind="apache", path="gone.tar.gz")
    where = {"workspace": Workspace(settings.cache_dir), "settings": settings, "recipe_dir": recipe_dir}
    index, found = pin_first(component(gone, APACHE), **where)  # type: ignore[arg-type]
    assert (index, found.sha512) == (1, SHA512)
    with pytest.raises(SourceError, match="thing: none of its 1 sources can be pinned") as caught:
        pin_first(component(gone), **where)  # type: ignore[arg-type]
    assert "/dist/gone.tar.gz" in caught.value.details
