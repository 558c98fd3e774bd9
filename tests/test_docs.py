"""The documentation: it builds, and what it shows runs."""

import ast
import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import mininet_kronos
from mininet_kronos.__main__ import make_parser

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = (*sorted(DOCS.glob("*.md")), ROOT / "README.md")


def shown_commands():
    """Yield (page, command) for each line of a block of shell commands."""
    for page in PAGES:
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
            for line in block.splitlines():
                yield pytest.param(line, id=f"{page.stem}: {line[:60]}")


@pytest.fixture
def checkout(tmp_path):
    """A directory that looks like a checkout, in which commands may leave files."""
    for name in (".venv", "docs", "topologies"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.mark.parametrize("command", list(shown_commands()))
def test_a_command_that_is_shown_runs(command, checkout, run_script):
    # A test is root, and may not have sudo.
    done = run_script("sh", "-c", command.replace("sudo ", ""), cwd=checkout, limit=200)
    assert done.status == 0, done


def test_scripts_that_are_shown_are_those_that_run():
    pages = "".join(page.read_text() for page in (*DOCS.glob("*.md"), ROOT / "README.md"))
    for example in (DOCS / "examples").glob("*.py"):
        assert f"examples/{example.name}" in pages
    assert (DOCS / "examples" / "two_hosts.py").read_text() in (ROOT / "README.md").read_text()


def kronos_lines():
    """Yield each command line of kronos' that is indented or quoted in a text, but for mn's own options."""
    for page in PAGES:
        lines = re.findall(
            r"^    (?:sudo )?((?:\S*/)?kronos [a-z].*?)(?:  .*)?$", page.read_text(), re.MULTILINE
        )
        for line in (*lines, *re.findall(r"`(kronos [a-z][^`]*)`", page.read_text())):
            if "|" not in line:
                yield pytest.param(line, id=f"{page.stem}: {line[:60]}")


@pytest.mark.parametrize("line", list(kronos_lines()))
def test_a_kronos_command_that_is_shown_is_one(line):
    verb, *words = shlex.split(line, comments=True)[1:]
    if verb == "mn":
        return  # its options are mn's
    missing = {"run": ["SCRIPT"], "verify": ["SCRIPT"], "report": ["DIR"], "compare": ["DIR", "DIR"]}
    make_parser().parse_args([verb, *words, *([] if words else missing.get(verb, []))])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_that_is_shown_is_python(page):
    """And what it imports from here exists."""
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        if "--8<--" in block:
            continue
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("mininet_kronos"):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, name.name) for name in node.names)


def test_every_public_name_is_there():
    for name in mininet_kronos.__all__:
        assert getattr(mininet_kronos, name).__name__ == name


def test_every_example_of_mininets_that_is_named_is_run():
    table = (DOCS / "from-mininet.md").read_text().split("## Mininet's own examples")[1].split("\n\n")[2]
    named = set(re.findall(r"`(\w+)\.py`", table))
    tested = set(
        re.findall(r'run_example\(\s*"(\w+)"', (ROOT / "tests" / "test_mininet_examples.py").read_text())
    )
    assert len(named) >= 10
    assert named <= tested


def test_the_site_builds_without_warnings(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "--quiet", "build", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stderr) == (0, "")
    assert "KronosNet" in (tmp_path / "site" / "api" / "index.html").read_text()


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *ROOT.glob("[a-z]*/*.md")], ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    """In the pages that the site does not have as well."""
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
