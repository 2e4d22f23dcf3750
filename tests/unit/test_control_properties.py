# SPDX-License-Identifier: Apache-2.0
"""Our reading of control files, names and versions against dpkg's own, on whatever hypothesis comes up with."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from debian.debian_support import version_compare
from hypothesis import example, given
from hypothesis import strategies as st

from bigtop_builder.artifact import RELATIONS, Deb, canonical, read_deb
from bigtop_builder.errors import CheckFailed
from bigtop_builder.repository.index.blocks import in_order
from bigtop_builder.repository.index.packages import stanza_of
from bigtop_builder.run import run
from deb_forge import CONTROL, control_tar, deb, write

FIELDS = ("Description", "X-One", "x-two", "X_three", "Homepage", "Conffiles.x")
WORDS = st.text("ab:#. ,()", max_size=8)
FOLDED = st.text("ab:#.\t ", min_size=1, max_size=8).map(lambda line: f" {line}x")
BREAKS = ("\n", " \n", "\n\n", "\r\n", "\0", "\v", "\f", "\x1a", "\x85", "\u2028")
LINES = ("#x: y\n", "-x: y\n", "Package: evil\n", "\nPackage: evil\n", "Version:\n", "\tfolded\n")
GARBAGE = st.sampled_from((*BREAKS, *LINES, ":", " :", "x", "é", "\udcff", "Package", "\ufeff"))
RELATED = st.text("aB1+._-:,|()<>= \n", max_size=12) | st.lists(
    st.sampled_from(
        (
            "a",
            "b1:any",
            " ",
            ",",
            " | ",
            "(>= 1)",
            " (<<1:2-3)",
            "(1)",
            "( = 1~ )",
            "\n ",
            ", ",
            "()",
            "(> 1_2)",
        )
    ),
    max_size=7,
).map("".join)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("properties")


@st.composite
def stanzas(draw: st.DrawFn) -> str:
    """A control file that is right: fields in any order, values folded."""
    names = draw(st.lists(st.sampled_from(FIELDS), unique=True))
    essential = ["Package: forged", "Version: 1.0-1", "Architecture: all"]
    fields = [
        "\n".join([f"{name}:{draw(st.sampled_from(['', ' ', chr(9)]))}{draw(WORDS).strip()}", *lines]).strip()
        for name in names
        for lines in [draw(st.lists(FOLDED, max_size=3))]
    ]
    ordered = draw(st.permutations(essential + fields))
    end = 2 if ordered[-1].endswith(":") else 1  # dpkg takes no empty field at the very end
    return "\n".join(ordered) + "\n" * draw(st.integers(end, 3))


@st.composite
def damaged_stanzas(draw: st.DrawFn) -> str:
    """One with something thrown in that mostly does not belong there."""
    text = draw(stanzas())
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(GARBAGE) + text[at + draw(st.integers(0, 1)) :]
    return text


def _forge(folder: Path, texts: Iterable[str]) -> list[Path]:
    return [
        write(folder, deb(control=control_tar(text.encode(errors="surrogateescape"))), f"{number}.deb")
        for number, text in enumerate(texts)
    ]


def _dpkg_fields(debs: Sequence[Path]) -> Iterator[tuple[bool, str]]:
    """Whether dpkg takes each package's control file, and what it prints of the fields."""
    wanted = " ".join(["Package", "Version", "Architecture", *FIELDS])
    script = f'for deb; do dpkg-deb -f "$deb" {wanted} 2>/dev/null; printf "\\036%s\\036" $?; done'
    said = run(["sh", "-c", script, "sh", *debs]).stdout.decode(errors="surrogateescape").split("\036")
    for text, code in zip(said[::2], said[1::2], strict=False):
        yield code == "0", text


def _ours(path: Path) -> Deb | CheckFailed:
    try:
        return read_deb(path)
    except CheckFailed as error:
        return error


def _printed(read: Deb) -> str:
    """The fields as dpkg-deb prints them."""
    names = [canonical(name) for name in ("Package", "Version", "Architecture", *FIELDS)]
    return "".join(f"{name}: {read.control[name]}\n" for name in names if name in read.control)


def _comparable(printed: str) -> str:
    """Without what means nothing: the case of names, blanks at the end of a field's first line, empty fields."""
    plain = re.sub(r"(?m)^(\S+?): *(.*?)[ \t]*$", lambda line: f"{line[1].lower()}: {line[2]}", printed)
    return re.sub(r"(?m)^\S+: \n(?![ \t])", "", plain)


@given(texts=st.lists(stanzas(), min_size=20, max_size=20))
def test_right_control_files_are_read_as_dpkg_reads_them(folder: Path, texts: list[str]) -> None:
    debs = _forge(folder, texts)
    for path, text, (accepted, printed) in zip(debs, texts, _dpkg_fields(debs), strict=True):
        assert accepted, text
        assert _comparable(_printed(read_deb(path))) == _comparable(printed)


@example(texts=[CONTROL.decode().replace("all\n", "all\n\tfolded\n")])
@given(texts=st.lists(damaged_stanzas(), min_size=30, max_size=30))
def test_damaged_control_files_are_taken_only_if_dpkg_takes_them_and_then_for_the_same(
    folder: Path, texts: list[str]
) -> None:
    debs = _forge(folder, texts)
    for path, text, (accepted, printed) in zip(debs, texts, _dpkg_fields(debs), strict=True):
        read = _ours(path)
        if isinstance(read, Deb):
            assert accepted, text
            assert _comparable(_printed(read)) == _comparable(printed)
        elif accepted:
            assert _stricter_by_intent(text), read.brief


@given(field=st.sampled_from(sorted(RELATIONS)), texts=st.lists(RELATED, min_size=30, max_size=30))
def test_a_relation_is_taken_if_dpkg_takes_it(folder: Path, field: str, texts: list[str]) -> None:
    lines = [re.sub(r"\n\s*(?=\n|$)", "", text) for text in texts]
    debs = _forge(
        folder, (f"{field}: {re.sub(chr(10) + '(?! )', ' ', line)}\n" + CONTROL.decode() for line in lines)
    )
    for path, (accepted, _) in zip(debs, _dpkg_fields(debs), strict=True):
        read = _ours(path)
        assert isinstance(read, Deb) == accepted, read


def _stricter_by_intent(text: str) -> bool:
    """What policy or this repository forbids, and dpkg takes: it also installs what is no .deb of Debian's."""
    return bool(
        re.search("[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029\udc80-\udcff]", text)  # no text, or no line's end
        or re.search(r"(?m)^[^\s:]*[^!-9;-~\s:][^\s:]*[ \t]*:", text)  # names are of ASCII (policy 5.1)
        or re.search(r"(?m)^[^\s:]+[ \t]+:", text)  # the colon follows at once (policy 5.1)
        or not text.endswith("\n")  # dpkg passes over a lone colon at the very end
        or re.search(r"(?m)^#", text)  # comments are for debian/control (deb822(5))
        or not re.search(r"(?mi)^version:[ \t]*1\.0-1[ \t]*$", text)
        or not re.search(r"(?mi)^architecture:[ \t]*all[ \t]*$", text)
        or re.search(r"(?mi)^(version|architecture|package):.*\n[ \t]", text)  # simple fields (policy 5.1)
        or not re.search(r"(?mi)^package:[ \t]*forged[ \t]*$", text)
    )


@given(texts=st.lists(stanzas() | damaged_stanzas(), min_size=20, max_size=20))
def test_what_an_index_says_of_a_package_is_one_stanza_with_the_repositorys_own_fields(
    folder: Path, texts: list[str]
) -> None:
    for path in _forge(folder, texts):
        read = _ours(path)
        if not isinstance(read, Deb):
            continue
        text = stanza_of(read, "pool/main/f/forged.deb").text
        fields = re.findall(r"^(\S+?):", text, re.MULTILINE)
        assert len(fields) == len({field.lower() for field in fields})
        assert text.endswith(
            f"\nFilename: pool/main/f/forged.deb\nSize: {read.size}\nSHA256: {read.sha256}\n"
        )
        assert "\n\n" not in text
        assert all(re.match(r"[ \t]+\S|[!-~]+:", line) for line in text.splitlines())


VERSIONS = st.from_regex(r"\A(?:[0-2]:)?[0-9][0-9a-cA.+~]{0,6}(?:-[0-9a-c.+~]{1,4}){0,2}\Z", fullmatch=True)
ANYTHING = st.text("019azA.+~-:_/ é", max_size=8)


@given(texts=st.lists(VERSIONS | ANYTHING, min_size=30, max_size=30))
@example(
    texts=["999999999:1", "2147483648:1", "1:2-3:4", "1--1", "1-1-", "a1", "0", "1:", ":1", "1-", "00:1"]
)
def test_a_version_is_taken_if_dpkg_takes_it(folder: Path, texts: list[str]) -> None:
    texts = [text for text in texts if not re.match(r" *\+| *$", text)]  # dpkg takes +1: for an epoch
    script = 'for version; do dpkg --validate-version "$version" 2>/dev/null >&2; echo $?; done'
    said = run(["sh", "-c", script, "sh", *texts]).text.split()
    debs = _forge(folder, (CONTROL.decode().replace("1.0-1", text) for text in texts))
    for path, text, code in zip(debs, texts, said, strict=True):
        assert isinstance(_ours(path), Deb) == (code == "0"), text


@given(texts=st.lists(st.text("abz019+-._/ é", min_size=1, max_size=5), min_size=10, max_size=10))
@example(texts=["aa", "0a", "+a", "-a", ".a", "a_", "a/", "a b", "a+", "a.-+"])
def test_a_name_is_taken_if_dpkg_deb_builds_a_package_of_it(folder: Path, texts: list[str]) -> None:
    texts = [
        text for text in texts if len(text.strip()) > 1
    ]  # one sign or upper case: dpkg-deb takes what policy forbids
    for number, text in enumerate(texts):
        control = folder / f"tree{number}/DEBIAN/control"
        control.parent.mkdir(parents=True, exist_ok=True)
        control.write_text(CONTROL.decode().replace("forged", text))
    script = 'for tree; do dpkg-deb -Znone -b "$tree" "$tree.deb" 2>/dev/null >&2; echo $?; done'
    said = run(["sh", "-c", script, "sh", *(folder / f"tree{number}" for number in range(len(texts)))]).text
    debs = _forge(folder, (CONTROL.decode().replace("forged", text) for text in texts))
    for path, text, code in zip(debs, texts, said.split(), strict=True):
        assert isinstance(_ours(path), Deb) == (code == "0"), text


@given(texts=st.lists(VERSIONS, min_size=30, max_size=30, unique=True))
@example(texts=["1", "0:1", "1-0", "1.0", "1.00", "1~", "1~~", "1+", "1a", "1.~", "1.-1", "1:0", "10", "9"])
def test_versions_are_compared_and_ordered_as_dpkg_does(texts: list[str]) -> None:
    stanzas_ = [stanza_of(_deb(text), f"pool/{text}") for text in texts]
    ordered = [stanza.version for stanza in in_order(stanzas_)]
    signs = {-1: "lt", 0: "eq", 1: "gt"}
    pairs = [*pairwise(ordered), *pairwise(texts)]
    words = [word for one, two in pairs for word in (one, signs[version_compare(one, two)], two)]
    script = 'while [ $# -gt 0 ]; do dpkg --compare-versions "$1" "$2" "$3"; echo $?; shift 3; done'
    said = run(["sh", "-c", script, "sh", *words]).text.split()
    assert said == ["0"] * len(pairs), [pair for pair, code in zip(pairs, said, strict=True) if code != "0"]
    assert all(version_compare(one, two) <= 0 for one, two in pairwise(ordered))


def _deb(version: str) -> Deb:
    control = {"Package": "forged", "Version": version, "Architecture": "all"}
    return Deb(path=Path("forged.deb"), control=control, stanza="", size=1, sha256="0" * 64)
