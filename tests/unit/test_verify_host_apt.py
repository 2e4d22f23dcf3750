# SPDX-License-Identifier: Apache-2.0
"""What apt says, and what its sources say, in all forms."""

from hypothesis import given
from hypothesis import strategies as st

from bigtop_builder.fleet.verify_host.apt import tables, unmet_of
from bigtop_builder.fleet.verify_host.source_entry import source_options

POLICY = """tool:
  Installed: 1.0-1
  Candidate: 2.0-1
  Package pin: 2.0-1
  Version table:
     2.0-1 1001 (phased 10%)
        500 http://x.example stable/main amd64 Packages
 *** 1.0-1 100
        100 /var/lib/dpkg/status
     1.0-1 -1
         -1 http://y.example stable/main amd64 Packages
"""


def test_what_apt_says_of_a_package_is_read_with_versions_that_have_several_blocks() -> None:
    found = tables(POLICY)["tool"]
    assert found.candidate == "2.0-1"
    assert found.versions == {
        "2.0-1": (1001, ("http://x.example stable/main amd64 Packages",)),
        "1.0-1": (100, ("/var/lib/dpkg/status", "http://y.example stable/main amd64 Packages")),
    }
    assert found.sources("1.0-1") == ("http://y.example stable/main amd64 Packages",)
    assert found.sources("3") == ()


UNMET = """Reading package lists...
The following packages have unmet dependencies:
 daemon : PreDepends: lib (>= 1:1) but it is not installable
          Depends: tool (= 1) but it is not installed or
                   other but it is not installable
          Recommends: more but it is not installed
 enemy : Conflicts: tool
"""


def test_what_packages_lack_is_read_from_what_apt_says() -> None:
    assert unmet_of(UNMET) == {
        "daemon": "PreDepends: lib (>= 1:1) but it is not installable, Depends: tool (= 1) but it is not installed "
        "or other but it is not installable",
        "enemy": "Conflicts: tool",
    }
    assert unmet_of("Reading package lists...\n") == {}


@given(cut=st.integers(0, len(POLICY)), text=st.text(max_size=60))
def test_no_answer_of_apt_is_too_odd(cut: int, text: str) -> None:
    tables(POLICY[:cut] + text + POLICY[cut:])


ONE_LINE = (
    "# deb [trusted=yes] http://x\ndeb [ Signed-By=/k.gpg trusted=yes ] http://y [z] main\ndeb http://z x\n"
)
DEB822 = """# of the site

Types: deb
# Trusted: yes
URIs: http://x
Signed-By:
 -----BEGIN

Types: deb
Trusted:  Yes
"""


def test_options_of_a_source_are_found_as_apt_counts_sources() -> None:
    assert source_options(ONE_LINE, 1, paragraphs=False) == "signed-by=/k.gpg\ntrusted=yes"
    assert source_options(ONE_LINE, 2, paragraphs=False) == ""
    assert source_options(DEB822, 0, paragraphs=True).startswith("types: deb\nuris: http://x\nsigned-by:\n")
    assert source_options(DEB822, 1, paragraphs=True) == "types: deb\ntrusted:  yes"
    assert source_options(DEB822, 2, paragraphs=True) == ""


@given(text=st.text(max_size=80), number=st.integers(0, 5))
def test_no_file_of_sources_is_too_odd(text: str, number: int) -> None:
    for paragraphs in (True, False):
        source_options(text, number, paragraphs=paragraphs)
