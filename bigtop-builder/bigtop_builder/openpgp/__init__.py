# SPDX-License-Identifier: Apache-2.0
"""The one door to OpenPGP: signing with gpg, or with what the site has instead of it; verifying with gpgv."""

from bigtop_builder.openpgp.armor import canonical, unverified_text
from bigtop_builder.openpgp.gpgv import Signed, signers, verify
from bigtop_builder.openpgp.home import PASSPHRASE_VARIABLE
from bigtop_builder.openpgp.key import ClockBehindError, Key, missing
from bigtop_builder.openpgp.keyring import Algorithm, Keyring
from bigtop_builder.openpgp.signer import Command, Form, Signer, UserHome

__all__ = [
    "PASSPHRASE_VARIABLE",
    "Algorithm",
    "ClockBehindError",
    "Command",
    "Form",
    "Key",
    "Keyring",
    "Signed",
    "Signer",
    "UserHome",
    "canonical",
    "missing",
    "signers",
    "unverified_text",
    "verify",
]
