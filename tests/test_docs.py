"""The documentation: it builds, and what it shows runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def shown_commands():
    """Yield (page, command) for each line of a block of shell commands."""
    for page in sorted(DOCS.glob("*.md")):
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


def test_the_site_builds_without_warnings(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "--quiet", "build", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stderr) == (0, "")
    assert "KronosNet" in (tmp_path / "site" / "api" / "index.html").read_text()
