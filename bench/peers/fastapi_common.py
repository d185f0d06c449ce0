"""What both FastAPI servers share: the routes that a team writes first, over a function from rows to probabilities."""

import sys
from collections.abc import Callable

import numpy as np
import uvicorn
from fastapi import FastAPI, Request, Response
from numpy.typing import NDArray

FEATURES = 30


def serve(predict: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> None:
    """Serve CSV and JSON with one worker, on the event loop and parser that `uvicorn[standard]` brings."""
    app = FastAPI()

    @app.get("/ping")
    async def ping() -> dict[str, str]:
        return {"status": "ready"}

    @app.post("/invocations")
    async def invocations(request: Request) -> Response:
        body = await request.body()
        rows = np.fromstring(body.replace(b"\n", b","), dtype=np.float32, sep=",").reshape(-1, FEATURES)
        return Response("\n".join(map(str, predict(rows))), media_type="text/csv")

    @app.post("/predict")
    async def by_json(document: dict[str, list[list[float]]]) -> dict[str, list[float]]:
        return {"predictions": predict(np.array(document["instances"], dtype=np.float32)).tolist()}

    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", access_log=False)
