"""FastAPI and ONNX Runtime over the model that `to_onnx.py` wrote: `fastapi_onnxruntime.py MODEL PORT`.

One thread: with more, ONNX Runtime sets its own affinity and leaves the core that the server is pinned to.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
from fastapi_common import serve
from numpy.typing import NDArray

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
model = Path(sys.argv[1]).with_suffix(".onnx")
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def predict(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the probability of the second class."""
    return session.run(["probabilities"], {"input": rows})[0][:, 1]


serve(predict)
