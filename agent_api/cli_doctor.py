"""The command doctor. It imports what it needs when it runs, like the other commands."""

import logging
import sys

import click

from agent_api import cli_options


@click.command(short_help="Check configuration, database, keys and machine.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
@cli_options.host
@cli_options.workers
def doctor(as_json: bool, host: str | None, workers: int | None) -> None:
    """Check configuration, database, keys and machine, and say what to do.

    Changes nothing, and ends within half a minute. Exits with 1 if there is an error; warnings are
    for you to judge. Run it as the user of the server, with its environment and its options.
    """
    from agent_api.doctor import examination, report

    logging.disable()  # the findings say the same
    findings = examination.examine(host=host, workers=workers)
    if as_json:
        click.echo(report.as_json(findings))
    else:
        for line in report.as_text(findings):
            click.echo(line)
    sys.exit(1 if report.worst(findings) == "error" else 0)
