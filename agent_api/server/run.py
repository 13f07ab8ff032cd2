"""Starts the server: checks the address, readies the database, says where it is, runs uvicorn."""

import shlex
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.supervisors import ChangeReload

import migrations
from agent_api import __version__, app
from agent_api.auth import development_secret
from agent_api.mock.app import create_app as create_mock
from agent_api.mock.examples import check_examples
from agent_api.observability import log, setup
from agent_api.server import address, connection_limit
from agent_api.server.process import Server
from agent_api.server.protocol import HttpProtocol
from agent_api.server.workers import Workers
from agent_api.settings import Settings, default_data_dir, export_metrics_folder
from agent_api.settings.storage import database
from db import schema
from db.schema import readiness


def serve(settings: Settings, *, reload: bool, say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `say` is told what happens until requests are answered.

    Raises ConfigError where an address, the development secret or what shall observe the server
    cannot be used, and ContractError where contract and handlers do not fit, before anything is
    started.
    """
    log.configure(settings)
    if not settings.has_key:
        development_secret.load_or_create(settings.data_dir)
    _check_address(settings)
    app.compile_contract()
    with _metrics_served(settings) as tidy_up, database(settings, say) as url:
        if settings.database_url is None:
            schema.upgrade(url, migrations.FOLDER, on_step=say)
        elif (reason := readiness.check(url, migrations.FOLDER, explain=True)) is not None:
            say(f"Not ready yet: {reason}")
        # Without children one process does all, and has the settings already.
        in_children = reload or settings.workers > 1
        if in_children:
            settings.export_options()
            application = "agent_api.server.child:create_app"
        else:
            application = app.create_app(settings)
        _say_where(settings, say)
        if settings.metrics_port is not None:
            say(f"  Metrics  {_base(settings.metrics_host, settings.metrics_port)}/metrics")
        _say_data(settings, say)
        _run(
            application,
            settings,
            reload=reload,
            tidy_up=tidy_up,
            factory=in_children,
            workers=settings.workers,
            reload_includes=["*.py", "*.yaml"] if reload else None,
        )


@contextmanager
def _metrics_served(settings: Settings) -> Iterator[Callable[[], None]]:
    """Serve /metrics for all processes that this one starts, until the block ends.

    Yields what removes what lies in a folder, for a process that ends within the block. Raises
    ConfigError where a setting asks for what cannot be had, before anything is started.
    """
    setup.check_tracing(settings)
    if settings.metrics_port is None:
        yield lambda: None
        return
    # A count that is just written may stand in the way of its removal, and is no reason to fail.
    folder = TemporaryDirectory(prefix="agent-api-metrics-", ignore_cleanup_errors=True)
    with folder as name:
        export_metrics_folder(name)
        # Only now: prometheus_client looks for the folder when it is imported.
        from agent_api.server import metrics_server  # noqa: PLC0415  # what is off costs nothing

        with metrics_server.running(settings.metrics_host, settings.metrics_port, name):
            yield folder.cleanup


def serve_mock(settings: Settings, *, say: Callable[[str], None]) -> None:
    """Serve the contract's examples until SIGINT or SIGTERM, without a database and without keys.

    Raises ConfigError where the address cannot be used, and ContractError where an example breaks
    its schema.
    """
    log.configure(settings)
    _check_address(settings)
    check_examples()
    application = create_mock(settings)
    _say_where(settings, say)
    say("  Data     the examples of the contract; nothing is kept")
    say("  Token    any: Authorization: Bearer mock")
    _run(application, settings)


def _run(
    application: Any,
    settings: Settings,
    *,
    reload: bool = False,
    tidy_up: Callable[[], None] = lambda: None,
    **options: Any,
) -> None:
    """Serve; `tidy_up` is called where this process ends at once, and nothing after this runs."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # Until the server listens to them, and after: to stop is not to crash.
        signal.signal(number, _exit)
    connection_limit.raise_limit()
    config = uvicorn.Config(
        application,
        host=settings.host,
        port=settings.port,
        http=HttpProtocol,
        lifespan="on",  # "auto" hides an error at the start: every request is then a 500
        access_log=False,
        log_config=None,
        server_header=False,
        ws="none",
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.grace_seconds,
        reload=reload,
        **options,
    )
    seconds = settings.client_timeout_seconds
    if config.workers > 1:
        Workers(config, config.bind_socket(), seconds).run()
        return
    server = Server(config, client_seconds=seconds, has_parent=reload)
    if reload:
        ChangeReload(config, server.run, [config.bind_socket()]).run()
    else:
        server.tidy_up = tidy_up
        config.load_app()
        server.run()


def _exit(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _check_address(settings: Settings) -> None:
    """Find out before the database starts whether the address can be listened on."""
    options = "--host and --port, or AGENT_API_HOST and AGENT_API_PORT"
    address.listen(_probe, settings.host, settings.port, purpose="listen", options=options)


def _probe(family: int, at: Any) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(at)


def _base(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _say_where(settings: Settings, say: Callable[[str], None]) -> None:
    base = _base(settings.host, settings.port)
    say(f"Agent API {__version__}")
    say(f"  API      {base}")
    say(f"  Docs     {base}/docs")


def _say_data(settings: Settings, say: Callable[[str], None]) -> None:
    if settings.database_url is None:
        say(f"  Data     {settings.data_dir}")
    else:
        say("  Data     the database of AGENT_API_DATABASE_URL")
    if settings.can_sign:
        say(f"  Token    {_with_folder(settings)}{called_as()} token --user alice")
    else:
        say("  Token    from your identity provider")


def _with_folder(settings: Settings) -> str:
    """What `token` needs in another shell, to find a development secret that is not the usual."""
    if settings.jwt_secret is not None or settings.data_dir == default_data_dir():
        return ""
    return f"AGENT_API_DATA_DIR={shlex.quote(str(settings.data_dir))} "


def called_as() -> str:
    """Return how this command line was called, for the person to call it again."""
    called = sys.argv[0]
    return "python -m agent_api" if called.endswith("__main__.py") else called
