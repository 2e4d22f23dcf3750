# SPDX-License-Identifier: Apache-2.0
"""What speaks for a source besides its pin: a signature by a known key, a checksum file beside it."""

import re
from pathlib import Path
from typing import Final

from bigtop_builder.download import NotThere, read, shown
from bigtop_builder.errors import SigningError, SourceError
from bigtop_builder.hashes import hash_of
from bigtop_builder.openpgp import Keyring, signers
from bigtop_builder.recipe import Source
from bigtop_builder.settings import Settings

CHECKSUMS: Final = ("sha512", "sha256", "sha1")
"""Extensions of the files that Apache and Maven repositories keep beside an artifact, strongest first."""


def prove(file: Path, source: Source, *, place: str, settings: Settings, base: Path) -> str:
    """Verify a file that has no pin yet, and say with what; an empty text if there is nothing to verify with.

    With `signed_by` the signature alone counts. A git commit is a checksum of its own, and a local file is
    reviewed together with the recipe.

    Args:
        file: The bytes.
        source: Where they are from.
        place: URL or path of the source; what speaks for it lies beside that.
        settings: For the proxy.
        base: Folder that relative paths start from.

    Raises:
        SourceError: A checksum differs, or there is no good signature by a key of `signed_by`.
    """
    if source.signed_by:
        return prove_signed(file, source, place=place, settings=settings, base=base)
    if source.kind in ("git", "file"):
        return {"git": "git commit", "file": "local file"}[source.kind]
    found = (kind for kind in CHECKSUMS if _agrees(file, f"{place}.{kind}", kind, settings))
    kind = next(found, "")
    return kind and f".{kind} beside it"


def prove_signed(file: Path, source: Source, *, place: str, settings: Settings, base: Path) -> str:
    """Verify the signature `<place>.asc`, and say who signed. Arguments as for `prove`.

    Raises:
        SourceError: There is no good signature by a key of `signed_by`.
    """
    if not source.keys or source.kind == "git" or (base / (source.file or "-")).is_dir():
        raise SourceError(
            f"source {source.where} has signed_by, but no `keys`, or is no file that could be signed",
            hint="name a file or URL with the public keys as `keys`, or take signed_by out",
        )
    signature = _load(f"{place}.asc", settings, base)
    try:
        signed = _signers(file, signature, _load(source.keys, settings, base))
    except SigningError as error:
        raise SourceError(f"{source.keys} holds no usable public keys", details=str(error)) from error
    if found := [key for key in source.signed_by if key in signed]:
        return f"signature by {found[0]}"
    raise SourceError(
        f"{source.where} has no good signature by {' or '.join(source.signed_by)}",
        details=f"good signatures: {', '.join(signed) or 'none'}",
        hint="take another mirror; if another key signs now, see that it is genuine and add it to signed_by",
    )


def _agrees(file: Path, url: str, algorithm: str, settings: Settings) -> bool:
    """Whether a checksum file is there; it must then agree."""
    try:
        text = read(url, settings=settings).decode(errors="replace")
    except NotThere:
        return False
    got = hash_of(file, algorithm)
    if _checksum_in(text, len(got)) != got:
        raise SourceError(
            f"{shown(url).removesuffix(f'.{algorithm}')} is not what {shown(url)} says",
            details=f"it says: {text.strip()[:400]}\ngot {algorithm} {got}",
            hint="one of the two is damaged or forged: take another mirror or source",
        )
    return True


def _checksum_in(text: str, digits: int) -> str:
    """The checksum in the forms of sha512sum, BSD (`SHA512 (x) = …`) and gpg (`x: 01AB 23CD …`)."""
    if whole := re.search(rf"(?<![0-9A-Fa-f])[0-9A-Fa-f]{{{digits}}}(?![0-9A-Fa-f])", text):
        return whole[0].lower()
    return re.sub(r"\s", "", re.split(r"[:=]", text)[-1]).lower()


def _load(place: str, settings: Settings, base: Path) -> bytes:
    if "://" in place:
        return read(place, settings=settings)
    if not (base / place).is_file():
        raise SourceError(
            f"{base / place} does not exist", hint="put it there, or name another `keys` or source"
        )
    return (base / place).read_bytes()


def _signers(file: Path, signature: bytes, keys: bytes) -> tuple[str, ...]:
    with Keyring() as keyring:
        public = keyring.export_public(keyring.import_key(keys), armor=False)
    return signers(file, keyring=public, signature=signature)
