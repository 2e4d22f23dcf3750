# SPDX-License-Identifier: Apache-2.0
"""What an S3 store refuses, and how people are told: URL, code and way out, never a header or a key."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bigtop_builder.errors import PublishError
from bigtop_builder.repository.store.deeds import NOTHING

ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})
UNMET = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})
UNKNOWN = frozenset({"NotImplemented", "501", "InvalidArgument", "InvalidRequest", "400"})
AGAIN = f"{NOTHING}: run the command again"
HINTS = {
    "NoSuchBucket": "make the bucket, or name another one",
    "AccessDenied": "let the credentials in use do s3:GetObject, PutObject, DeleteObject, ListBucket and "
    "AbortMultipartUpload here",
    "InvalidAccessKeyId": "check the credentials (AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret)",
    "SignatureDoesNotMatch": "check the credentials, and that no proxy alters requests",
    "ExpiredToken": "get new credentials, and run the command again",
    "RequestTimeTooSkewed": "set this machine's clock",
    "PermanentRedirect": "set AWS_REGION to the bucket's region",
    "AuthorizationHeaderMalformed": "set AWS_REGION to the bucket's region",
    "BadDigest": "what arrived is not what was verified: see that nothing writes to the file or alters "
    "requests, and run the command again",
    "QuotaExceeded": f"make room; {AGAIN}",
}
HINTS |= {"Forbidden": HINTS["AccessDenied"], "403": HINTS["AccessDenied"]}
HINTS |= dict.fromkeys(("InvalidDigest", "XAmzContentSHA256Mismatch", "400"), HINTS["BadDigest"])
BROKEN = 500
"""Status codes from here on are the store's own trouble."""


class Refused(PublishError):
    """The store answered, and said no.

    Attributes:
        status: HTTP status of the answer.
    """

    def __init__(self, brief: str, *, hint: str, status: int) -> None:
        super().__init__(brief, hint=hint)
        self.status = status


class Unmet(Exception):
    """The condition of a write does not hold: somebody else wrote meanwhile. An answer, not an error."""


@contextmanager
def complaints(where: str) -> Iterator[None]:
    """Errors of boto3 and of files, said in our own words.

    Args:
        where: URL that the requests are about.

    Raises:
        Unmet: The condition of a write does not hold.
        Refused: The store says no for another reason.
        PublishError: There is no answer, or something is wrong on this machine.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise _refused(where, error.response) from error
    except BotoCoreError as error:
        raise _unreached(where, error) from error
    except OSError as error:
        raise PublishError(f"{error.filename or where}: {error.strerror or error}", hint=AGAIN) from error
    except ValueError as error:
        raise PublishError(
            f"{where}: boto3's configuration is not valid",
            hint="see AWS_ENDPOINT_URL_S3, AWS_REGION and AWS_PROFILE",
        ) from error


def _refused(where: str, response: Mapping[str, Any]) -> Exception:
    code = str(response.get("Error", {}).get("Code", ""))
    about = response.get("ResponseMetadata", {})
    status = about.get("HTTPStatusCode", 0)
    if code in UNMET:
        return Unmet(where)
    tries = about.get("RetryAttempts", 0) + 1
    often = f" ({tries} attempts)" if tries > 1 else ""
    fallback = f"the store is overloaded or broken; {AGAIN} later" if status >= BROKEN else AGAIN
    said = f"{code} ({status})" if code and code != str(status) else str(status)
    brief = f"{where}: the store answered {said}{often}"
    return Refused(brief, hint=HINTS.get(code, fallback), status=status)


def _unreached(where: str, error: Exception) -> PublishError:
    kind = type(error).__name__
    if "Credential" in kind or "Token" in kind or "Profile" in kind:
        said = f"no usable credentials ({kind})"
        hint = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    elif kind == "NoRegionError":
        said, hint = "no region is set", "set AWS_REGION"
    elif "Timeout" in kind:
        said, hint = f"the store does not answer in time ({kind})", AGAIN
    else:
        said = f"no whole answer from the store ({kind})"
        hint = f"see AWS_ENDPOINT_URL_S3, the network and the store; {AGAIN}"
    return PublishError(f"{where}: {said}", hint=hint)
