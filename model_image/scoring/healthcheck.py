"""Whether the server of this container answers: exit code 0 if ``/ping`` is 200, else 1.

For container engines; Kubernetes asks ``/ping`` itself.
"""

from __future__ import annotations

import http.client
import sys

from scoring.settings import ServerSettings

SECONDS = 2.0


def healthy(port: int) -> bool:
    """Ask the server at a port of this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(not healthy(ServerSettings.load().port))
