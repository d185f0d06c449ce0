"""A model image in miniature, on the standard library only; hyperparameters say how it behaves."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def train() -> int:
    base = Path(os.environ["SAGEMAKER_BASE_DIR"])
    settings = json.loads((base / "input/config/hyperparameters.json").read_text())
    say("environment " + json.dumps(sorted(os.environ)))
    mode = settings.get("mode", "succeed")
    (base / "checkpoints" / f"{os.environ['TRAINING_JOB_NAME']}.txt").write_text("checkpoint")
    if mode == "fail":
        (base / "output/failure").write_text("the data is bad" + "!" * 2000)
        return 3
    if mode == "ignore-stop":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if mode in {"wait", "ignore-stop"}:
        say("[1] validation-auc=0.5")
        try:
            signal.signal(signal.SIGTERM, signal.SIG_IGN if mode == "ignore-stop" else signal.default_int_handler)
            time.sleep(60)
        except KeyboardInterrupt:
            (base / "model/partial.txt").write_text("as far as it got")
            return 1
    if mode == "write":
        (base / "input/data/train/2013-01.csv").write_text("other data")
    return succeed(base, settings)


def succeed(base: Path, settings: dict[str, str]) -> int:
    files = sorted(path for path in (base / "input").rglob("*") if path.is_file())
    contents = {path.relative_to(base).as_posix(): path.read_text() for path in files}
    found = {"files": contents, "checkpoints": sorted(path.name for path in (base / "checkpoints").iterdir())}
    evaluation = {"binary_classification_metrics": {"auc": {"value": float(settings.get("auc", "0.9"))}}}
    say("[7] validation-auc=0.8125")
    say("validation-auc=unknown")
    (base / "model/inputs.json").write_text(json.dumps(found, sort_keys=True))
    (base / "model/evaluation.json").write_text(json.dumps(evaluation))
    (base / "output/data/notes.txt").write_text("notes")
    return 0


class Handler(BaseHTTPRequestHandler):
    """Predicts a half for every row."""

    def do_GET(self) -> None:
        self._answer(b"{}")

    def do_POST(self) -> None:
        rows = self.rfile.read(int(self.headers["Content-Length"])).splitlines()
        lines = self.headers.get("Accept") == "text/csv"
        self._answer(b"0.5\n" * len(rows) if lines else json.dumps({"predictions": [0.5] * len(rows)}).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve() -> int:
    model = Path(sys.argv[sys.argv.index("--model-dir") + 1])
    port = int(sys.argv[sys.argv.index("--port") + 1])
    json.loads((model / "evaluation.json").read_text())
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit({"train": train, "serve": serve}[sys.argv[1]]())
