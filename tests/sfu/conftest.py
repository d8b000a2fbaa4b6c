"""The media server's tests run where its extra is installed."""

from importlib.util import find_spec

NEEDED = (
    "aioice",
    "OpenSSL",
    "pylibsrtp",
    "hypercorn",
    "prometheus_client",
    "starlette",
    "wsproto",
)

if any(find_spec(name) is None for name in NEEDED):
    collect_ignore_glob = ["test_*.py"]
