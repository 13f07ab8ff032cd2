"""Starts the server: checks the address, readies the database, says where it is, runs uvicorn."""

import shlex
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from connexion.spec import Specification
from uvicorn.supervisors import ChangeReload

from agent_api import __version__, address, app, descriptors, log, mock, observing, secret
from agent_api.config import Settings, default_data_dir
from agent_api.contract import compile_operations
from agent_api.database import database
from agent_api.http_protocol import HttpProtocol
from agent_api.resolver import HandlerResolver, collect_handlers
from agent_api.server import Server
from agent_api.spec import load_contract
from agent_api.workers import Workers
from db import schema


def serve(settings: Settings, *, reload: bool, say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `say` is told what happens until requests are answered.

    Raises ConfigError where an address, the development secret or what shall observe the server
    cannot be used, and ContractError where contract and handlers do not fit, before anything is
    started.
    """
    log.configure(settings)
    if not settings.has_key:
        secret.load_or_create(settings.data_dir)
    _check_address(settings)
    compile_operations(Specification.load(load_contract()), HandlerResolver(collect_handlers()))
    with observing.published(settings) as tidy_up, database(settings, say) as url:
        if settings.database_url is None:
            schema.upgrade(url, on_step=say)
        elif (reason := schema.readiness(url, explain=True)) is not None:
            say(f"Not ready yet: {reason}")
        # Without children one process does all, and has the settings already.
        in_children = reload or settings.workers > 1
        if in_children:
            settings.hand_down()
            application = "agent_api.app:create_app_from_environment"
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


def serve_mock(settings: Settings, *, say: Callable[[str], None]) -> None:
    """Serve the contract's examples until SIGINT or SIGTERM, without a database and without keys.

    Raises ConfigError where the address cannot be used, and ContractError where an example breaks
    its schema.
    """
    log.configure(settings)
    _check_address(settings)
    mock.collect_examples(Specification.load(load_contract()))
    application = mock.create_app(settings)
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
    descriptors.raise_limit()
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
