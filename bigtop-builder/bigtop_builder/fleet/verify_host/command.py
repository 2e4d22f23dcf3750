# SPDX-License-Identifier: Apache-2.0
"""The command."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime, timezone
from pathlib import Path

from .asked import AGE, Asked
from .finding import UNREAD, Unable
from .report import status_of, table_of, verify


def act(asked: Asked) -> int:
    """Hold the host against the manifest, print what was found, and return the exit status."""
    try:
        report = verify(asked, datetime.now(timezone.utc))
    except OSError as failed:
        return told(Unable(UNREAD, str(failed), "see that the disk is not full"))
    except Unable as failed:
        return told(failed)
    text = json.dumps(report, indent=2) if asked.as_json else table_of(report)
    sys.stdout.buffer.write(text.encode(errors="backslashreplace") + b"\n")
    sys.stdout.flush()
    return status_of(report)


def told(failed: Unable) -> int:
    """Say what went wrong, and return the exit status."""
    first, *rest = failed.brief.splitlines()
    lines = [f"error: {first}", *(f"  {line}" for line in rest), f"way out: {failed.way_out}"]
    sys.stderr.write("\n".join(lines) + "\n")
    return failed.status


def arguments() -> argparse.ArgumentParser:
    """What the command line takes."""
    parser = argparse.ArgumentParser(
        prog="verify-host",
        description="Hold this host against the signed manifest of a release.",
        epilog="Exit status: 0 as the manifest says, 1 differs, 2 wrong use or a manifest that is not to be trusted, "
        "3 nothing differs and something could not be read.",
    )
    parser.add_argument("manifest", type=Path, metavar="MANIFEST", help="fleet-manifest.json")
    parser.add_argument("--signature", type=Path, help="its signature [MANIFEST.asc]")
    parser.add_argument(
        "--keyring", type=Path, help="public keys, binary [as the keyring package installs them]"
    )
    parser.add_argument(
        "--role", dest="roles", action="append", default=[], help="role of the host; repeatable"
    )
    parser.add_argument("--root", type=Path, default=Path("/"), help="folder that the host lies in [/]")
    parser.add_argument("--withdrawn", type=Path, help="the repository's state/withdrawn.asc")
    parser.add_argument(
        "--guard", choices=("off", "on"), default="off", help="how policy-rc.d is to stand [off]"
    )
    parser.add_argument("--origin", default="", help="origin that the manifest must have")
    parser.add_argument(
        "--max-age", type=int, default=AGE, help=f"days without apt-get update that may be; 0: any [{AGE}]"
    )
    parser.add_argument("--host", default="", help="name of the host in the report [its own]")
    parser.add_argument("--quick", action="store_true", help="leave out the content of files")
    parser.add_argument("--json", dest="as_json", action="store_true", help="print JSON")
    return parser


def main() -> None:
    """The command, where this file is run by itself."""
    options = vars(arguments().parse_args())
    sys.exit(act(Asked(**{**options, "roles": tuple(options["roles"])})))
