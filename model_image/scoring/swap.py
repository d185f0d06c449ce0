"""Change of the served model without a failed request: verify, try in a child, load beside the old one, switch.

The switch is one assignment between two turns of the event loop. Requests that came before it are answered by the
version they came to, which is freed with the last of them.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from scoring import artifact, log, redaction, served, trial
from scoring.errors import Fault, RequestError, ScoringError

if TYPE_CHECKING:
    from scoring.application import ModelApplication
    from scoring.served import ServedModel
    from scoring.settings import ServerSettings

logger = logging.getLogger(__name__)


class Swapper:
    """Replaces the model of one application; one replacement at a time."""

    def __init__(self, application: ModelApplication, settings: ServerSettings) -> None:
        """Remember where the model is served from."""
        self.directory = Path(settings.model_file) if settings.model_file else settings.directory()
        """Model directory, or file, of the version that is served."""
        self.application = application
        """What answers requests with the model."""
        self._settings = settings
        self.busy = False
        """A replacement is under way."""
        self._task: asyncio.Task[None] | None = None

    async def swap(self, directory: Path, digest: str = "") -> ServedModel:
        """Serve the model of a directory from now on, if it passes every check; else the old one stays.

        Args:
            directory: Model directory; it is read completely before this returns.
            digest: sha256 that its manifest must have; empty accepts any.

        Returns:
            The version that is served.

        Raises:
            UserError: the candidate is refused.
            RequestError: another replacement is under way.
        """
        if self.busy:
            raise RequestError(Fault.CONFLICT, "another model is being loaded; try again later")
        self.busy = True
        result = "refused"
        try:
            model = await self._candidate(directory, digest)
            self.application.use(model)
            self.directory = directory
            result = "done"
        finally:
            self.busy = False
            self.application.metrics.swaps[result] += 1
        logger.info("serving model %s from %s", model.version, directory, extra=log.fields(version=model.version))
        return model

    def reload(self) -> None:
        """Begin to serve what the configured model directory holds now; a refusal is logged, and the old one stays."""
        if self._settings.model_file:
            logger.warning("the model stays as it is: a server that was started with a file has no directory to reload")
        else:
            self._task = asyncio.create_task(self._reload())

    async def _reload(self) -> None:
        try:
            await self.swap(self._settings.directory(), self._settings.manifest_sha256)
        except ScoringError as error:
            logger.warning("the model stays as it is: %s", error)
        except Exception:
            logger.exception("the model stays as it is")

    async def _candidate(self, directory: Path, digest: str) -> ServedModel:
        loop = asyncio.get_running_loop()
        found = await asyncio.to_thread(artifact.read, directory, digest)
        redaction.check(self._settings.not_captured(), found.schema.names)
        await trial.run(directory, found.digest, self._settings.trial_timeout_s)
        on_batch = self.application.metrics.predicted

        def load() -> ServedModel:
            return served.load(found, self._settings, loop.call_soon, on_batch)

        return await asyncio.to_thread(load)
