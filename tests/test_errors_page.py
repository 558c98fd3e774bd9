"""docs/errors.md has every error, and none that is gone."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FIELD = "\0"  # in place of a value in a text


BUILT_IN = ("ValueError", "KeyError", "AttributeError", "TypeError")  # for programmers


def text_of(node):
    """Return the text of a string in Python's syntax, with FIELD for what is put in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return FIELD
    if isinstance(node, ast.BinOp):
        return text_of(node.left) + text_of(node.right)
    return FIELD


def python_errors():
    """Yield the text of each error that the package raises."""
    for path in sorted((ROOT / "mininet_kronos").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args):
                continue
            name = ast.unparse(node.exc.func)
            if name.endswith("Error") and name not in BUILT_IN:
                text = text_of(node.exc.args[0])
                if text.strip(FIELD + " :;,"):  # else it passes on what the engine says
                    yield path.name, text


def engine_errors():
    """Yield each text that names its fix, of the C parts."""
    for path in sorted((ROOT / "tracer" / "src").rglob("*.c")):
        for literals in re.findall(r'"(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*', path.read_text()):
            text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals))
            if "fix:" in text.lower() and not text.startswith(";"):  # the end of one with a macro in it
                yield path.name, re.sub(r"%[-\d.*]*(?:ll|l|z)?[a-z]", FIELD, text)


def catalogue():
    """Return a pattern for each text in the catalogue's tables."""
    patterns = []
    for line in (ROOT / "docs" / "errors.md").read_text().splitlines():
        if line.startswith("| `") or line.startswith("`"):
            first = line.split("|")[1] if line.startswith("|") else line
            for text in re.findall(r"`([^`]+)`", first):
                words = [re.escape(part.strip()) for part in text.split("...") if part.strip()]
                patterns.append(re.compile(".*".join(words), re.DOTALL))
    return patterns


def known(text, patterns):
    return any(pattern.search(text) for pattern in patterns)


@pytest.mark.parametrize("errors", [python_errors, engine_errors])
def test_the_catalogue_has_every_error(errors):
    patterns = catalogue()
    found = list(errors())
    assert len(found) > 5
    missing = [f"{name}: {text.replace(FIELD, '...')}" for name, text in found if not known(text, patterns)]
    assert not missing, "add to docs/errors.md:\n" + "\n".join(missing)


def test_the_catalogue_has_no_error_that_is_gone():
    texts = [
        text.replace(FIELD, "x") for errors in (python_errors, engine_errors) for _name, text in errors()
    ]
    sources = "".join(
        path.read_text(errors="replace")
        for part, pattern in (("mininet_kronos", "*.py"), ("tracer/src", "*.c"))
        for path in (ROOT / part).rglob(pattern)
    )
    sources = re.sub(r'"\s*f?"', "", sources)  # texts over several lines
    gone = [p.pattern for p in catalogue() if not any(map(p.search, texts)) and not p.search(sources)]
    assert not gone, "take out of docs/errors.md:\n" + "\n".join(gone)
