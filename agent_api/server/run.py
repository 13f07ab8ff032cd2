"""Starts a server: checks the settings, prepares the database, prints where it is, runs uvicorn."""

import logging
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from ipaddress import ip_network
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.supervisors import ChangeReload

import migrations
from agent_api import app
from agent_api.auth import development_secret
from agent_api.mock.application import create_app as create_mock
from agent_api.mock.examples import check_examples
from agent_api.observability import log, setup
from agent_api.server import addresses, connection_limit, echo, metrics_folder, startup_message
from agent_api.server.http.protocol import HttpProtocol
from agent_api.server.process import Server
from agent_api.server.startup_checks import check_workers
from agent_api.server.workers import Workers
from agent_api.settings import Settings, export_metrics_folder
from agent_api.settings.storage import database
from db import schema
from db.schema import readiness

logger = logging.getLogger(__name__)


def serve(settings: Settings, *, reload: bool, echoes: bool, say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `say` prints a line, unless the log is JSON.

    With `echoes`, an echo worker runs next to the server.
    Raises before anything starts: ConfigError if an address, the development secret, workers,
    metrics, tracing or the echo worker cannot be used; ContractError if contract and handlers do
    not match.
    """
    log.configure(settings)
    say = say if settings.log_format == "text" else _log_step
    if not settings.has_key:
        development_secret.load_or_create(settings.data_dir)
    if echoes:
        echo.check(settings)
    if settings.workers > 1:
        check_workers()
    addresses.check_free(settings)
    app.check_root_path(settings)
    app.compile_contract()
    setup.check_tracing(settings)
    with _serving_metrics(settings) as clean_up, database(settings, say) as url:
        reason = None
        if settings.database_url is None:
            schema.upgrade(url, migrations.FOLDER, on_step=say)
        elif (reason := readiness.check(url, migrations.FOLDER, explain=True)) is not None:
            say(f"Not ready yet: {reason}")
        has_children = reload or settings.workers > 1
        if has_children or echoes:
            settings.export_options()
        if has_children:
            application = "agent_api.server.child:create_app"
        else:
            metrics_folder.allocate_files(settings)
            application = app.create_app(settings)
        if settings.log_format == "text":  # in JSON, the log has a line "started"
            described = startup_message.describe_database(settings, url, answers=not reason)
            for line in startup_message.server_lines(settings, described, echoes=echoes):
                say(line)
        with echo.echoing() if echoes else nullcontext():
            _run(
                application,
                settings,
                reload=reload,
                clean_up=clean_up,
                factory=has_children,
                workers=settings.workers,
                reload_includes=["*.py", "*.yaml"] if reload else None,
            )


def serve_mock(settings: Settings, *, say: Callable[[str], None]) -> None:
    """Serve the contract's examples until a signal; `say` prints a line, unless the log is JSON.

    Raises ConfigError if the address cannot be used, and ContractError if an example does not
    match its schema.
    """
    log.configure(settings)
    addresses.check_free(settings)
    app.check_root_path(settings)
    check_examples()
    application = create_mock(settings)
    if settings.log_format == "text":
        for line in startup_message.mock_lines(settings):
            say(line)
    _run(application, settings)


@contextmanager
def _serving_metrics(settings: Settings) -> Iterator[Callable[[], None]]:
    """Serve the metrics of all processes, if they are on, until the block ends.

    Yields a function that removes temporary files. Raises ConfigError if the port is in use.
    """
    if settings.metrics_port is None:
        yield lambda: None
        return
    with (folder := metrics_folder.create()) as name:
        export_metrics_folder(name)
        # Imported only now, because prometheus_client looks for the folder when it is imported.
        from agent_api.server.metrics_server import MetricsServer  # noqa: PLC0415  # it reads the environment when it is imported

        server = addresses.listen(
            partial(MetricsServer, folder=name),
            settings.metrics_host,
            settings.metrics_port,
            purpose="serve metrics",
            options="AGENT_API_METRICS_HOST and AGENT_API_METRICS_PORT",
        )
        with server.running():
            yield folder.cleanup


def _run(
    application: Any,
    settings: Settings,
    *,
    reload: bool = False,
    clean_up: Callable[[], None] = lambda: None,
    **options: Any,
) -> None:
    """Run uvicorn; `clean_up` is called if this process has to exit at once."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit)  # for the time before and after uvicorn handles them
    connection_limit.raise_descriptor_limit()
    config = uvicorn.Config(
        application,
        host=settings.host,
        port=settings.port,
        http=HttpProtocol,
        lifespan="on",  # "auto" hides an error at the start: every request is then a 500
        access_log=False,
        log_config=None,
        server_header=False,
        # Not uvicorn's default, because that also reads FORWARDED_ALLOW_IPS.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=[*settings.trusted_proxies, *_mapped(settings.trusted_proxies)],
        ws="none",
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.grace_seconds,
        reload=reload,
        **options,
    )
    client_timeout = settings.client_timeout_seconds
    if config.workers > 1:
        Workers(config, config.bind_socket(), client_timeout).run()
        return
    server = Server(config, client_timeout=client_timeout, has_parent=reload)
    if reload:
        ChangeReload(config, server.run, [config.bind_socket()]).run()
    else:
        server.clean_up = clean_up
        config.load_app()
        server.run()


def _mapped(networks: Iterable[str]) -> Iterator[str]:
    """Yield IPv4 networks as IPv6 sockets write their addresses: ::ffff:10.0.0.0/104."""
    for network in map(ip_network, networks):
        if network.version == 4:
            yield f"::ffff:{network.network_address}/{96 + network.prefixlen}"


def _log_step(step: str) -> None:
    logger.info("starting", extra={"step": step})


def _exit(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
