"""Only AGENT_API_ variables matter: those that libpq and PostgreSQL read have no effect."""

import ctypes
import os
from pathlib import Path

import psycopg2._psycopg
import pytest

from db import embedded
from tests.commands import Result, starting
from tests.servers import agent_api, clean_environment, wait_until_ready
