"""Rules about the source that no type checker knows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAIN = ROOT / "__main__.py"
COMPONENTS = sorted((ROOT / "components").glob("*.py"))
PROGRAM = [MAIN, *COMPONENTS, *sorted((ROOT / "settings").rglob("*.py"))]
MAIN_LINES, COMPONENT_LINES, FUNCTION_LINES = 460, 250, 40


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def attributes(path: Path) -> set[str]:
    """Dotted names that a module uses, such as `pulumi.Config`."""
    return {ast.unparse(node) for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}


def literals(path: Path) -> list[str]:
    return [n.value for n in ast.walk(tree(path)) if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def relative(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def test_the_guards_look_at_the_whole_program() -> None:
    assert len(COMPONENTS) >= 15
    assert ROOT / "settings" / "load.py" in PROGRAM


def test_main_is_short_and_only_constructs_and_exports() -> None:
    assert len(MAIN.read_text(encoding="utf-8").splitlines()) <= MAIN_LINES
    decisions = (ast.For, ast.While, ast.If, ast.IfExp, ast.Lambda, ast.FunctionDef, ast.comprehension, ast.Try)
    assert [type(node).__name__ for node in ast.walk(tree(MAIN)) if isinstance(node, decisions)] == []
    assert not {name for name in attributes(MAIN) if name.endswith(".apply")}


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda path: path.stem)
def test_a_component_file_and_its_functions_stay_within_their_budget(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= COMPONENT_LINES
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef):
            documented = len((ast.get_docstring(node) or "").splitlines())
            assert (node.end_lineno or 0) - node.lineno + 1 - documented <= FUNCTION_LINES, node.name


def test_only_the_loader_reads_configuration() -> None:
    readers = [path for path in PROGRAM if {"pulumi.Config", "pulumi.get_stack"} & attributes(path)]
    assert relative(readers) == ["settings/load.py"]


def test_nothing_reads_the_environment() -> None:
    assert (
        relative([path for path in PROGRAM if {"os.environ", "os.getenv", "os.environ.get"} & attributes(path)]) == []
    )


def test_arns_are_built_in_one_place() -> None:
    builders = [path for path in [MAIN, *COMPONENTS] if any(text.startswith("arn:") for text in literals(path))]
    assert relative(builders) == ["components/iam.py"]


def test_no_component_names_a_region_or_an_account() -> None:
    for path in [MAIN, *COMPONENTS]:
        for text in literals(path):
            assert not [found for found in ("us-east-1", "123456789012") if found in text], path


def test_no_component_hands_the_options_of_its_caller_on() -> None:
    assert relative([path for path in PROGRAM if "pulumi.ResourceOptions.merge" in attributes(path)]) == []


def test_no_resource_is_made_inside_apply() -> None:
    constructors = ("aws.", "kubernetes.", "eks.")
    for path in COMPONENTS:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "apply":
                made = [
                    ast.unparse(call.func)
                    for argument in node.args
                    for call in ast.walk(argument)
                    if isinstance(call, ast.Call)
                ]
                assert not [name for name in made if name.startswith(constructors)], f"{path.name}:{node.lineno}"


def test_nothing_unordered_reaches_a_resource() -> None:
    for path in COMPONENTS:
        assert not [node for node in ast.walk(tree(path)) if isinstance(node, (ast.Set, ast.SetComp))], path
        assert "set(" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda path: path.stem)
def test_a_component_class_has_arguments_and_a_token_of_its_module(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef) and any(
            ast.unparse(base).endswith("ComponentResource") for base in node.bases
        ):
            tokens = [text for text in literals(path) if text.startswith("slipway:")]
            assert tokens == [f"slipway:{path.stem.replace('_', '')}:{node.name}"]
            assert f"class {node.name}Args:" in path.read_text(encoding="utf-8")
