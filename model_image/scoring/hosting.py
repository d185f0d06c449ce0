"""Several models in one process: loaded after a trial, within a memory budget, the idle ones let go when it is full.

A model is charged with what its trial process grew by and with the most that its queue may hold, so the budget bounds
what all models together can take. Loading is one at a time; the models that are there go on answering.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from scoring import artifact, inference, log, metrics, served, trial
from scoring.application import ModelApplication
from scoring.errors import ArtifactError, Fault, RequestError, ScoringError
from scoring.messages import Route
from scoring.served import Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scoring.artifact import Artifact
    from scoring.capture import Capture
    from scoring.offload import Offload
    from scoring.served import ServedModel
    from scoring.settings import ServerSettings
    from scoring.tracing import Tracing

MAX_LOADING = 16
"""Models that may wait to be loaded; each keeps a connection open."""

MAX_NAME = 255
"""Characters of a model's name."""

MAX_REASONS = 256
"""Refused models whose reason is remembered."""

CELL_BYTES = 4

logger = logging.getLogger(__name__)


class Wanted(NamedTuple):
    """Limits that a client asks for; None takes the server's."""

    max_batch_rows: int | None = None
    max_queued_bytes: int | None = None


class Hosted:
    """A loaded model, with the application that answers about it alone."""

    def __init__(self, name: str, settings: ServerSettings) -> None:
        """Prepare the paths of a model; it answers once its application is given a version."""
        self.name = name
        self.directory = ""
        """Where the version was read from, as the client named it."""
        self.charged_bytes = 0
        """What it takes of the budget."""
        self.used = 0
        """Grows with every request: the least recently used model has the smallest."""
        self.application = ModelApplication(settings)
        path = quote(name, safe="").encode()
        invoke = Route(b"POST", self.application.invocations, metrics.INVOKE)
        self.application.routes = {b"/models/%b/invoke" % path: invoke}
        self.application.routes |= inference.model_routes(self.application, name)

    @property
    def idle(self) -> bool:
        """Whether no request waits for an answer."""
        return self.application.metrics.in_flight == 0


class Hosting:
    """Loads and unloads models; the event loop's thread alone changes it."""

    def __init__(
        self,
        settings: ServerSettings,
        schedule: Callable[[Callable[[], None]], object],
        offload: Offload | None = None,
        tracing: Tracing | None = None,
        capture: Capture | None = None,
    ) -> None:
        """Start without a model.

        Args:
            settings: Limits, the folder of the models and the budget.
            schedule: ``loop.call_soon`` of the loop that will answer.
            offload: Where large bodies are parsed, for all models together.
            tracing: Makes the spans of requests about models.
            capture: Keeps a sample of requests and answers of all models together.
        """
        self.models: dict[str, Hosted] = {}
        """Loaded models by name."""
        self.by_target: dict[bytes, Hosted] = {}
        """Loaded models by the request targets that are about them."""
        self.loading: set[str] = set()
        """Names that are being loaded or wait for it."""
        self.reasons: dict[str, str] = {}
        """Why a model that is not loaded is not, by name; the newest refusals only."""
        self.events: Counter[str] = Counter()
        """``loaded``, ``refused``, ``unloaded``, ``evicted``."""
        self._settings = settings
        self._schedule = schedule
        self._offload = offload
        self._tracing = tracing
        self.capture = capture
        """Keeps a sample of all models' requests and answers."""
        self._one_at_a_time = asyncio.Lock()
        self._uses = itertools.count(1)

    @property
    def charged_bytes(self) -> int:
        """What all loaded models take of the budget."""
        return sum(model.charged_bytes for model in self.models.values())

    def use(self, model: Hosted) -> None:
        """Note that a request for the model has come."""
        model.used = next(self._uses)

    def get(self, name: str) -> Hosted:
        """Give a loaded model.

        Raises:
            RequestError: it is not loaded.
        """
        if name not in self.models:
            raise RequestError(Fault.NOT_LOADED, f"model {name!r} is not loaded")
        return self.models[name]

    def unload(self, name: str) -> None:
        """Forget a model; requests that it has are still answered.

        Raises:
            RequestError: it is not loaded, or it is being replaced.
        """
        model = self.get(name)
        if name in self.loading:
            raise RequestError(Fault.CONFLICT, f"model {name!r} is being replaced; try again later")
        self._forget(model, "unloaded")

    async def load(self, name: str, directory: Path, wanted: Wanted | None = None, *, replace: bool = False) -> Hosted:
        """Load a model if it passes every check and fits; whatever happens, the other models are not touched.

        Args:
            name: Name to load it under.
            directory: Model directory below the folder of the models.
            wanted: Limits of its queue, at most the server's.
            replace: Put it in the place of a loaded model of that name without a pause, instead of refusing.

        Raises:
            UserError: the model is refused.
            RequestError: the name is taken, too much is being loaded, or there is no memory.
        """
        if not 0 < len(name) <= MAX_NAME or not name.isprintable():
            raise RequestError(Fault.MALFORMED_BODY, f"a model's name has 1 to {MAX_NAME} printable characters")
        if name in self.models and not replace:
            raise RequestError(Fault.ALREADY_LOADED, f"model {name!r} is already loaded")
        if name in self.loading:
            raise RequestError(Fault.CONFLICT, f"model {name!r} is being loaded; try again later")
        if len(self.loading) >= MAX_LOADING:
            raise RequestError(Fault.OVERLOADED, "too many models are being loaded; try again later")
        self.loading.add(name)
        try:
            async with self._one_at_a_time:
                model = await self._load(name, directory, wanted or Wanted())
        except MemoryError as error:
            raise RequestError(Fault.NO_MEMORY, f"there is no memory to load model {name!r}") from error
        except Exception as error:
            self.events["refused"] += 1
            self._remember(name, str(error) if isinstance(error, ScoringError) else "the server failed to load it")
            raise
        finally:
            self.loading.discard(name)
        self.reasons.pop(name, None)
        self.events["loaded"] += 1
        version = model.application.model().version
        logger.info("model %s is version %s", name, version, extra=log.fields(model=name, version=version))
        return model

    async def load_all(self, names: list[str]) -> None:
        """Load models of the repository one after another; one that is refused is logged and left out."""
        for name in names:
            try:
                await self.load(name, await asyncio.to_thread(self.find, name))
            except ScoringError as error:
                logger.warning("model %s is not served: %s", name, error, extra=log.fields(model=name))
            except Exception:
                logger.exception("model %s is not served", name, extra=log.fields(model=name))

    def captured_by_mistake(self) -> list[str]:
        """Give the names that captures are told to leave out and no loaded model has; none without captures."""
        known = {name for model in self.models.values() for name in model.application.model().names}
        return [name for name in self._settings.not_captured() if self.capture and self.models and name not in known]

    def find(self, name: str) -> Path:
        """Give the directory of a model of the repository: a folder of that name, or ``model`` in it.

        Raises:
            RequestError: there is no such folder.
        """
        folder = self._settings.repository() / name
        if name in self.repository():
            return folder if (folder / artifact.MANIFEST).is_file() else folder / "model"
        raise RequestError(Fault.NOT_FOUND, f"the repository holds no model {name!r}")

    def repository(self) -> list[str]:
        """Give the names of the models that the repository holds; it reads the disk."""
        folder = self._settings.repository()
        entries = sorted(folder.iterdir()) if folder.is_dir() else []
        places = (artifact.MANIFEST, f"model/{artifact.MANIFEST}")
        return [entry.name for entry in entries if any((entry / place).is_file() for place in places)]

    async def _load(self, name: str, directory: Path, wanted: Wanted) -> Hosted:
        loop = asyncio.get_running_loop()
        found = await asyncio.to_thread(self._read, directory)
        limits = self._limits(found, wanted)
        self._leaving(name, len(found.model) + limits.max_queued_bytes)  # what cannot fit is not worth a trial
        grown = await trial.run(directory, found.digest, self._settings.trial_timeout_s)
        charged = grown + limits.max_queued_bytes
        for leaving in self._leaving(name, charged):
            self._forget(leaving, "evicted")
        settings = self._settings.named(name)
        hosted = self.models.get(name) or Hosted(name, settings)
        hosted.application.tracing = self._tracing
        hosted.application.capture, hosted.application.captured_as = self.capture, name
        on_batch = hosted.application.metrics.predicted

        def read_in() -> ServedModel:
            return served.load(found, settings, self._schedule, on_batch, limits)

        hosted.application.use(await loop.run_in_executor(None, read_in))
        hosted.application.offload = self._offload
        hosted.charged_bytes, hosted.directory = charged, str(directory)
        self.use(hosted)
        self.models[name] = hosted
        self.by_target |= dict.fromkeys(hosted.application.routes, hosted)
        return hosted

    def _read(self, directory: Path) -> Artifact:
        """Verify a directory; it must lie where models may come from, since every client of the port can name one."""
        folder = self._settings.repository().resolve()
        if not directory.resolve().is_relative_to(folder):
            raise ArtifactError(f"{directory} does not lie below {folder}, from where models are loaded")
        return artifact.read(directory)

    def _limits(self, found: Artifact, wanted: Wanted) -> Limits:
        most = Limits(self._settings.max_batch_rows, self._settings.max_queued_bytes)
        request = min(self._settings.max_rows * found.schema.width * CELL_BYTES, most.max_queued_bytes)
        least = Limits(1, request)
        chosen = Limits(*(own if asked is None else asked for asked, own in zip(wanted, most, strict=True)))
        for field, low, value, high in zip(Limits._fields, least, chosen, most, strict=True):
            if not low <= value <= high:
                reason = " (less is below what one request can become)" if low > 1 else ""
                raise RequestError(Fault.OUT_OF_RANGE, f"{field} is {value}; expected {low} to {high}{reason}")
        return chosen

    def _leaving(self, name: str, needed: int) -> list[Hosted]:
        """Give the idle models that have to go to make room, least recently used first.

        Raises:
            RequestError: there would not be enough.
        """
        budget = self._settings.models_memory_bytes
        free = budget - self.charged_bytes
        leaving: list[Hosted] = []
        if self._settings.models_full == "evict":
            idle = (model for model in self.models.values() if model.idle and model.name not in {name, *self.loading})
            for model in sorted(idle, key=lambda model: model.used):
                if free >= needed:
                    break
                leaving.append(model)
                free += model.charged_bytes
        if free < needed:
            message = (
                f"model {name!r} needs at least {needed} bytes, {max(free, 0)} of {budget} are free or can be freed"
            )
            raise RequestError(Fault.NO_MEMORY, message)
        return leaving

    def _forget(self, model: Hosted, event: str) -> None:
        del self.models[model.name]
        for target in model.application.routes:
            del self.by_target[target]
        self.events[event] += 1
        logger.info("model %s is %s", model.name, event, extra=log.fields(model=model.name, event=event))

    def _remember(self, name: str, reason: str) -> None:
        if name not in self.models:
            self.reasons.pop(name, None)
            self.reasons[name] = reason
            if len(self.reasons) > MAX_REASONS:
                del self.reasons[next(iter(self.reasons))]
