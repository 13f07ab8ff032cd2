"""The framework layer: everything between the web server and the handlers."""

import warnings
from importlib.metadata import PackageNotFoundError, version

# Connexion imports Starlette's unused test client, which recommends another HTTP library.
warnings.filterwarnings("ignore", message=r"Using `httpx` with `starlette\.testclient`")

try:
    __version__ = version("agent-api")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+source"
