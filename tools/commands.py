"""Child processes of the bootstrap: logged, shown as progress, never outliving an interrupted run."""

import contextlib
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

TAIL_LINES = 25
"""How much of a failed command's output its error shows."""
GRACE_SECONDS = 5.0
"""What a child gets to end by itself before it is killed."""


class SetupError(Exception):
    """Set-up cannot go on; the message is complete and meant for the user."""


class Commands:
    """Runs child processes and can stop all that are running."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def run(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        on_line: Callable[[str], None],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Run `command` to its end; its output goes to `log` (which is removed after success) and to `on_line`.

        Raises:
            SetupError: It could not start or did not succeed; the message ends with the last lines of its output.
        """
        words = [str(word) for word in command]
        try:
            process = self._start(words, env, cwd)
        except OSError as error:
            raise SetupError(f"`{' '.join(words)}` could not be started: {error}") from error
        try:
            self._follow(process, log, on_line)
        finally:
            with self._lock:
                self._running.discard(process)
        if self._stopped:
            raise SetupError("interrupted")
        if process.returncode != 0:
            tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
            raise SetupError(
                f"`{' '.join(words)}` failed with exit code {process.returncode}.\n"
                + "\n".join(f"    {line}" for line in tail)
                + f"\nThe whole output is in {log}."
            )
        log.unlink(missing_ok=True)

    def stop(self) -> None:
        """End every running child and start no other."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()

    def _start(self, words: list[str], env: Mapping[str, str] | None, cwd: Path | None) -> subprocess.Popen[str]:
        with self._lock:
            if self._stopped:
                raise SetupError("interrupted")
            process = subprocess.Popen(  # noqa: S603 - the words are this project's own, and no shell reads them
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env=env,
                cwd=cwd,
            )
            self._running.add(process)
            return process

    @staticmethod
    def _follow(process: subprocess.Popen[str], log: Path, on_line: Callable[[str], None]) -> None:
        with process, log.open("w", encoding="utf-8") as file:
            try:
                for line in process.stdout or ():
                    file.write(line)
                    if text := line.strip():
                        on_line(text)
            except BaseException:
                with contextlib.suppress(OSError):
                    process.terminate()
                raise


def answer(command: Sequence[str | Path], *, seconds: float = 10.0, env: Mapping[str, str] | None = None) -> str | None:
    """Standard output of a short question such as `tool version`, stripped; None when it gives no good answer."""
    try:
        done = subprocess.run(  # noqa: S603 - a tool asked for its version, without a shell
            [str(word) for word in command],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            env=env,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
