"""The frame of the agent API: it knows Connexion, so that the handlers need not."""

import warnings
from importlib.metadata import PackageNotFoundError, version

# Importing Connexion imports Starlette's test client, which we never use and which advises whoever
# imports it to install another HTTP library.
warnings.filterwarnings("ignore", message=r"Using `httpx` with `starlette\.testclient`")

try:
    __version__ = version("agent-api")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+source"
