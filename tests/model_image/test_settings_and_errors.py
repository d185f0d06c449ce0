from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.__main__ import main
from scoring.container import ContainerPaths
from scoring.errors import AlgorithmError, ArtifactError, Fault, PlatformError, UserError, failure_text, owner
from scoring.settings import ServerSettings

PACKAGE = Path(__file__).parents[2] / "model_image/scoring"
MEBIBYTE = 1024 * 1024
STUBS = "_typeshed"
"""Types of the standard library, imported by type checkers only."""
IMAGE_PACKAGES = {"duckdb", "httptools", "numpy", "opentelemetry", "orjson", "uvloop", "xgboost", "scoring"}


def test_the_environment_sets_values_of_the_fields_types_and_flags_win() -> None:
    found = ServerSettings.load(
        {"SLIPWAY_PORT": "9000", "SLIPWAY_DRAIN_S": "2.5", "SLIPWAY_HOST": "::1"}, port=0, host=None
    )
    assert (found.port, found.drain_s, found.host) == (0, 2.5, "::1")


def test_a_container_of_several_listens_where_sagemaker_says_unless_it_is_told_otherwise() -> None:
    given = {"SAGEMAKER_BIND_TO_PORT": "14001"}
    assert ServerSettings.load(given).port == 14001
    assert ServerSettings.load({**given, "SLIPWAY_PORT": "9000"}).port == 9000
    assert ServerSettings.load(given, port=0).port == 0


def test_limits_grow_with_the_payloads_of_a_batch_and_only_in_a_batch() -> None:
    given = {"SAGEMAKER_MAX_PAYLOAD_IN_MB": "20", "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "5"}
    assert ServerSettings.load(given) == ServerSettings()
    found = ServerSettings.load({**given, "SAGEMAKER_BATCH": "true", "SLIPWAY_MAX_ROWS": "7"})
    assert (found.max_body_bytes, found.max_rows) == (20 * MEBIBYTE, 7)
    assert (found.max_buffered_bytes, found.max_queued_bytes) == (100 * MEBIBYTE, 400 * MEBIBYTE)


def test_limits_never_shrink_below_the_usual_ones() -> None:
    found, usual = (
        ServerSettings.load({"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "1"}),
        ServerSettings(),
    )
    assert found.max_rows > MEBIBYTE // 2
    assert (found.max_body_bytes, found.max_queued_bytes) == (usual.max_body_bytes, usual.max_queued_bytes)


def test_what_sagemaker_says_has_to_be_numbers_and_all_of_it_is_reported() -> None:
    given = {"SAGEMAKER_BATCH": "true", "SAGEMAKER_BIND_TO_PORT": "x", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}
    with pytest.raises(UserError) as caught:
        ServerSettings.load(given)
    assert str(caught.value).splitlines() == [
        "SAGEMAKER_BIND_TO_PORT is 'x'; expected a whole number above 0",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB is '0'; expected a whole number above 0",
    ]
    asked = ServerSettings.load({"SAGEMAKER_BATCH": "True", "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "0"})
    assert asked.payloads_at_once == 1


def test_the_server_listens_on_loopback_unless_told_otherwise() -> None:
    assert ServerSettings.load({}).host == "127.0.0.1"


def test_unreadable_and_misspelt_settings_are_reported_together() -> None:
    environment = {"SLIPWAY_PORT": "tcp://10.0.0.1", "SLIPWAY_MAX_BODY_BYTE": "1", "SLIPWAY_HOME": "/x", "OTHER": "1"}
    with pytest.raises(UserError) as caught:
        ServerSettings.load(environment)
    assert str(caught.value).splitlines() == [
        "SLIPWAY_PORT is 'tcp://10.0.0.1'; expected an integer",
        "SLIPWAY_MAX_BODY_BYTE is no setting; did you mean SLIPWAY_MAX_BODY_BYTES?",
    ]


def test_values_out_of_range_are_reported_together() -> None:
    with pytest.raises(UserError) as caught:
        ServerSettings(port=70_000, drain_s=float("inf"), max_rows=0, max_queued_bytes=1, model_version="a\r\nb")
    text = str(caught.value)
    for name in ("PORT", "DRAIN_S", "MAX_ROWS", "MAX_QUEUED_BYTES", "MODEL_VERSION"):
        assert f"SLIPWAY_{name} is" in text


def test_the_base_directory_moves_every_folder() -> None:
    assert ContainerPaths.from_environment({}).model == Path("/opt/ml/model")
    moved = ContainerPaths.from_environment({"SAGEMAKER_BASE_DIR": "/x"})
    assert moved.hyperparameters == Path("/x/input/config/hyperparameters.json")
    assert ServerSettings().directory({"SAGEMAKER_BASE_DIR": "/x"}) == Path("/x/model")


def test_every_error_has_one_owner_and_owners_differ_by_exit_code() -> None:
    cases = {
        UserError("x"): 1,
        ArtifactError("x"): 1,
        AlgorithmError("x"): 2,
        ValueError("x"): 2,
        PlatformError("x"): 3,
    }
    assert {type(error): owner(error).exit_code for error in (*cases, PermissionError("x"))} == {
        **{type(error): code for error, code in cases.items()},
        PermissionError: 3,
    }


@given(st.text(max_size=3000))
def test_a_failure_text_names_its_owner_and_fits_what_sagemaker_keeps(message: str) -> None:
    text = failure_text(UserError(message))
    assert text.startswith("UserError: ")
    assert len(text) <= 1024
    assert "…" in text if len(message) > 1013 else text == f"UserError: {message or 'UserError'}"


def test_a_failure_text_of_many_lines_keeps_whole_ones_and_counts_the_others() -> None:
    lines = [f"hyperparameter {number}: {'wrong ' * 8}" for number in range(30)]
    *kept, last = failure_text(UserError("\n".join(lines))).removeprefix("UserError: ").splitlines()
    assert kept == lines[: len(kept)]
    assert 10 < len(kept) < len(lines)
    assert last == f"… and {30 - len(kept)} more lines, which the log has"


def test_fault_codes_are_unique() -> None:
    assert len({fault.code for fault in Fault}) == len(Fault)


def test_a_wrong_command_line_is_the_users_error(caplog: pytest.LogCaptureFixture) -> None:
    assert main(["predict"]) == 1
    assert "invalid choice: 'predict'" in caplog.text


def test_serving_a_directory_without_a_model_exits_one_without_a_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert main(["serve", "--model-dir", str(tmp_path / "none"), "--port", "0"]) == 1
    written = caplog.text
    assert "UserError: model directory " in written
    assert "Traceback" not in written


def test_the_package_imports_only_what_the_image_installs() -> None:
    sources = list(PACKAGE.glob("*.py"))
    assert len(sources) > 10
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            roots = {name.partition(".")[0] for name in names}
            assert roots <= IMAGE_PACKAGES | sys.stdlib_module_names | {STUBS}, source
