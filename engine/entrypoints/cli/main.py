"""The `tollbook` command.

Every command has help with an example, data on stdout and messages on stderr. Exit codes: 0 done;
1 it failed (the message says what, where and what was expected); 2 wrong usage; 3 what was asked
for does not exist; 4 it ran, and something was rejected or differs.
"""

import sys
from importlib.metadata import version as distribution_version
from typing import Annotated

try:
    import typer
except ImportError:  # the base install is what a gateway needs; the command comes with an extra
    sys.stderr.write("the tollbook command needs: pip install 'tollbook[engine]'\n")
    raise SystemExit(1) from None

from kafka.errors import KafkaError

from engine.entrypoints.cli import (
    account,
    account_bulk,
    account_history,
    account_prepaid,
    account_statement,
    account_view,
    alerts,
    archive,
    audit,
    balance,
    bench,
    bench_http,
    bench_publisher,
    broker,
    clock,
    demo,
    doctor,
    exchange_rate,
    http_key,
    price_lists,
    rate,
    rejections,
    replaying,
    rules,
    schema,
    serve,
    source,
    sql,
    stack,
    tariff,
    tariff_checks,
    tariff_compare,
    tariff_diff,
    topics,
    usage,
    usage_completeness,
)
from engine.entrypoints.cli.common import EXIT_FAILED, say
from engine.rating.errors import TollbookError

app = typer.Typer(
    name="tollbook",
    help="Rate and charge AI token usage: exact money, nothing lost, nothing twice.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
app.add_typer(broker.app, name="broker")
app.add_typer(topics.app, name="topics")
app.add_typer(tariff.app, name="tariff")
tariff.app.command("validate")(tariff_checks.validate)
tariff.app.command("diff")(tariff_diff.diff)
tariff.app.command("compare")(tariff_compare.compare)
tariff.app.command("import-prices")(price_lists.import_prices)
tariff.app.command("import-history")(price_lists.import_history)
app.add_typer(exchange_rate.app, name="exchange-rate")
app.add_typer(account.app, name="account")
account.app.command("grant")(account_prepaid.grant)
account.app.command("recharge")(account_prepaid.recharge)
account.app.command("void-grant")(account_prepaid.void_grant)
account.app.command("limit")(account_prepaid.limit)
account.app.command("adjust", context_settings={"ignore_unknown_options": True})(
    account_prepaid.adjust  # else an amount below zero would be an option
)
account.app.command("approve")(account_prepaid.approve)
account.app.command("apply")(account_bulk.apply)
account.app.command("list")(account_view.list_accounts)
account.app.command("show")(account_view.show)
account.app.command("history")(account_history.history)
account.app.command("statement")(account_statement.statement)
app.add_typer(source.app, name="source")
app.add_typer(rules.app, name="rules")
app.add_typer(usage.app, name="usage")
usage.app.command("completeness")(usage_completeness.completeness)
app.add_typer(http_key.app, name="http-key")
app.add_typer(rejections.app, name="rejections")
app.add_typer(replaying.app, name="replay")
app.add_typer(archive.app, name="archive")
app.add_typer(audit.app, name="audit")
app.add_typer(bench.app, name="bench")
bench.app.command("publisher")(bench_publisher.publisher)
bench.app.command("http")(bench_http.http)
app.command("run")(stack.run_worker)
app.command("project")(stack.run_projector)
app.command("clock")(clock.clock)
app.command("serve")(serve.serve)
app.command("up")(stack.up)
app.command("balance")(balance.balance)
app.command("alerts")(alerts.alerts)
app.command("rate")(rate.rate)
app.command("schema")(schema.schema)
app.command("sql")(sql.sql)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(distribution_version("tollbook"))
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """Rate and charge AI token usage: exact money, nothing lost, nothing twice.

    Example: tollbook rate --tariff business.yaml --usage usage.jsonl

    Exit codes: 0 done; 1 failed; 2 wrong usage; 3 not found; 4 something was rejected or differs.
    """


def run() -> None:
    """Run the command; what goes wrong is a message on stderr and an exit code, not a traceback."""
    try:
        app()
    except TollbookError as error:
        say(str(error))
        raise SystemExit(EXIT_FAILED) from error
    except KafkaError as error:
        say(f"Kafka: {error}")
        raise SystemExit(EXIT_FAILED) from error
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(EXIT_FAILED) from None
    except OSError as error:
        say(f"{error.filename or 'system'}: {error.strerror or error}")
        raise SystemExit(EXIT_FAILED) from error
