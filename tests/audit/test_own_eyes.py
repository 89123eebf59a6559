"""The audit imports nothing that the masker works with: read from the source, not from what is loaded."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "inline_topo"


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it, with what it takes of them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            assert node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_nothing_but_the_standard_library_and_itself() -> None:
    """So nothing of the masking rules either, by whatever way: what the audit imports of this project
    imports in turn only the audit."""
    files = sorted((PACKAGE / "audit").glob("**/*.py"))
    assert len(files) > 10
    for path in files:
        for name in imports(path):
            top = name.partition(".")[0]
            is_ours = name.startswith("inline_topo.audit.")
            assert is_ours or top in sys.stdlib_module_names, f"{path.name} imports {name}"


def test_nothing_is_imported_by_name() -> None:
    for path in (PACKAGE / "audit").glob("**/*.py"):
        text = path.read_text()
        assert "importlib" not in text
        assert "__import__" not in text


def test_the_table_is_data_alone() -> None:
    """left.py computes nothing: names, strings, tuples, and the type of a row."""
    tree = ast.parse((PACKAGE / "audit" / "left.py").read_text())
    allowed = (ast.AnnAssign, ast.Expr, ast.ImportFrom, ast.ClassDef)
    assert all(isinstance(node, allowed) for node in tree.body)
    functions = (ast.FunctionDef, ast.Lambda, ast.If, ast.For, ast.While)
    assert not [node for node in ast.walk(tree) if isinstance(node, functions)]


def test_the_old_search_is_gone() -> None:
    assert not list((PACKAGE / "masking" / "leaks").glob("*.py"))
