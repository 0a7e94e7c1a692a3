"""What the pinned packages may be used under, read from what they say of themselves: no network."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, metadata

import pytest

from tests.source_tree import ROOT

PINS = [line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().split()]
# Words of licences that ask for no more than their text: any of them, in any combination.
PERMISSIVE = re.compile(
    "0BSD|AND|OR|WITH|LLVM-exception|Apache|BSD|BSL-1[.]0|CC0-1[.]0|CMU|CNRI-Python|ISCL|ISC|MIT|PSF|"
    "Python|Software|Foundation|Zlib|Zope|Public|License|Clause|[0-9., ()-]+"
)
# Weak copyleft: used as they are, unchanged, of which their licences ask nothing.
UNCHANGED = {"certifi", "hypothesis", "orjson", "pathspec", "shtab", "tqdm"}
# Looked at by hand: what they say of themselves says too little, or names a choice.
KNOWN = {
    "asyncssh": "EPL-2.0 or GPL, by DVC for SSH remotes; used unchanged",
    "dulwich": "Apache-2.0 is the one of the two that is taken",
    "grandalf": "GPLv2 or EPL-1.0, by DVC for `dvc dag`; used unchanged, never imported here",
    "huey": "MIT, in its LICENSE; by MLflow",
    "pygit2": "GPLv2 with an exception for whoever links it; by DVC",
    "skops": "MIT, in its LICENSE; by MLflow",
}


def said(package: str) -> str:
    """The licence that a package names."""
    own = metadata(package).json
    lines = [str(line) for line in own.get("classifier", [])]
    classified = [line.split(" :: ")[-1] for line in lines if line.startswith("License ::")]
    first = str(own.get("license", "")).split("\n")[0]
    return str(own.get("license_expression", "")) or ", ".join(classified) or first


@pytest.mark.parametrize("package", PINS)
def test_a_package_asks_for_no_more_than_its_text(package: str) -> None:
    try:
        licence = said(package)
    except PackageNotFoundError:
        pytest.skip("of another platform")
    if package.lower() not in UNCHANGED | KNOWN.keys():
        assert licence and not PERMISSIVE.sub("", licence), f"{package}: {licence!r}"


def test_exceptions_are_of_packages_that_are_pinned() -> None:
    assert {name.lower() for name in PINS} >= UNCHANGED | KNOWN.keys()
