"""What the user sees where there is no terminal."""

from __future__ import annotations

import io

import pytest

from sandbox.console import Console


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def test_a_step_ends_with_its_mark_its_summary_and_its_time(out: io.StringIO) -> None:
    with Console(out).step("Deploy") as step:
        step.summary = "create 3"
    assert out.getvalue().startswith("✓ Deploy  create 3  0.0 s")


def test_a_step_that_fails_is_marked_and_the_failure_goes_on(out: io.StringIO) -> None:
    with pytest.raises(ValueError, match="no"), Console(out).step("Deploy"):
        raise ValueError("no")
    assert out.getvalue().startswith("✗ Deploy")


def test_text_in_brackets_is_shown_as_it_is(out: io.StringIO) -> None:
    console = Console(out)
    with console.step("Plan pools[0]") as step:
        step.summary = "subnetIds[1] [red]"
    console.table("Up [local]", {"pools[0]": "value[1] [bold]"})
    console.info("models[0]")
    assert "Plan pools[0]  subnetIds[1] [red]" in out.getvalue()
    assert "pools[0]  value[1] [bold]" in out.getvalue()
    assert out.getvalue().endswith("models[0]\n")


def test_progress_is_shown_now_and_then_and_not_at_every_note(
    out: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter([0.0, 1.0, 2.0, 6.0, 7.0, 8.0])
    monkeypatch.setattr("sandbox.console.time.monotonic", lambda: next(now))
    with Console(out).step("Train") as step:
        for round_ in range(4):
            step.note(f"round {round_}")
    assert next(line.strip() for line in out.getvalue().splitlines()) == "· Train: round 2 (6 s)"
    assert out.getvalue().count("round") == 1
