# SPDX-License-Identifier: Apache-2.0
"""What is told of objects on S3, and what names a place there. The store itself: tests/integration/test_s3_*.py."""

import sys
from pathlib import Path

import pytest

from bigtop_builder.errors import InputError
from bigtop_builder.repository.store import open_store
from bigtop_builder.repository.store.bucket import IMMUTABLE, headers
from bigtop_builder.repository.store.filesystem import FilesystemStore
from bigtop_builder.repository.store.refusal import Refused, complaints
from bigtop_builder.run import run


@pytest.mark.parametrize(
    ("path", "kind", "caching"),
    [
        ("pool/main/z/zoo/zoo_1.deb", "application/vnd.debian.binary-package", IMMUTABLE),
        ("dists/stable/main/binary-amd64/by-hash/SHA256/ab", "application/octet-stream", IMMUTABLE),
        ("by-hash/SHA256/ab", "application/octet-stream", IMMUTABLE),
        ("dists/stable/InRelease", "text/plain; charset=utf-8", "no-cache"),
        ("dists/stable/Release.gpg", "application/pgp-signature", "no-cache"),
        ("dists/stable/main/binary-amd64/Packages.gz", "application/gzip", "no-cache"),
    ],
)
def test_only_what_never_changes_may_be_kept_by_caches(path: str, kind: str, caching: str) -> None:
    assert headers(path) == {"ContentType": kind, "CacheControl": caching}


def test_a_place_is_a_folder_or_a_url(tmp_path: Path) -> None:
    assert isinstance(open_store(tmp_path), FilesystemStore)
    assert open_store("s3://bucket/a/b/").name == "s3://bucket/a/b"
    assert open_store("s3://bucket").name == "s3://bucket"


def test_only_a_repository_on_s3_pays_for_boto3(tmp_path: Path) -> None:
    script = (
        "import sys; from bigtop_builder.repository.publish import Repository; "
        "from bigtop_builder.repository.store import open_store; "
        f"open_store({str(tmp_path)!r}).names(''); print('boto3' in sys.modules, 'botocore' in sys.modules)"
    )
    assert run([sys.executable, "-c", script]).text == "False False"


@pytest.mark.parametrize("url", ["s3://", "s3:///x", "s3://B_/x", "https://x/y", "s3://bucket/x?y"])
def test_what_names_no_bucket_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="names no bucket"):
        open_store(url)


def test_the_status_of_an_answer_is_told_apart_from_what_a_url_looks_like() -> None:
    from botocore.exceptions import ClientError

    answer = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    with (
        pytest.raises(Refused, match=r"AccessDenied \(403\)") as raised,
        complaints("s3://packages/deb (400)"),
    ):
        raise ClientError(answer, "PutObject")
    assert raised.value.status == 403
