"""SQL over an archive says what the fold says, to the last unit, and touches nothing else."""

import json
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from typer.testing import CliRunner

from engine.adapters.avro.journal import decode_commit
from engine.adapters.avro.usage import encode_usage, encode_usage_batch
from engine.adapters.avro.wire import encode
from engine.adapters.memory import MemoryLog
from engine.entrypoints.cli.main import app
from engine.ports import TopicPartition
from engine.rating.charge import Charge
from engine.rating.event import AccountEvent, Rejection
from replay.archive import Archive, ArchiveLog, sql
from replay.archive.archiver import Limits
from replay.archive.errors import ArchiveError
from replay.archive.queries import VIEWS
from replay.archive.views import ask, connect
from replay.balances import replay_balances
from schemas.loader import latest
from tests.docs.pages import DOCS, blocks
from tests.properties.streams import streams
from tests.rating.scenario import usage_fields
from tests.replay.clusters import JOURNAL, USAGE, append_stream, archived, new_cluster

PICO = 10**12


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    return sql(path, query).fetchall()


def pico(value: Decimal) -> int:
    assert isinstance(value, Decimal)
    return int(value.scaleb(12))


@settings(max_examples=8)  # each starts a DuckDB
@given(stream=streams())
def test_every_view_of_the_journal_says_what_its_fold_says(stream: list[object]) -> None:
    cluster = new_cluster()
    append_stream(cluster, stream, {3, 5, 9})  # type: ignore[arg-type]  # hypothesis widens
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        log = ArchiveLog(archived(cluster, path, Limits(records=3)))
        commits = [
            decode_commit(r.value) for r in log.read(JOURNAL, 0, log.ends([JOURNAL])[JOURNAL])
        ]
        records = [record for commit in commits for record in commit.records]
        balances = rows(
            path,
            "SELECT account_id, sequence, currency, due, charges, suspended_lines, "
            "epoch_us(as_of) FROM balances",
        )
        assert [(*b[:3], pico(b[3]), *b[4:]) for b in balances] == [
            (b.account_id, b.sequence, b.currency, b.due, b.charges, b.suspended_lines, b.as_of)
            for b in replay_balances(log, 1)
        ]
        charges = rows(
            path,
            "SELECT charge_id, amount, due, event_id FROM charges ORDER BY account_id, sequence",
        )
        expected = sorted(
            (r for r in records if isinstance(r, Charge)), key=lambda c: (c.account_id, c.sequence)
        )
        assert [(c[0], pico(c[1]), pico(c[2]), c[3]) for c in charges] == [
            (c.charge_id, c.amount, c.due, c.event_id) for c in expected
        ]
        lines = rows(
            path,
            "SELECT charge_id, line_number, kind, quantity, amount, status, reason "
            "FROM charge_lines ORDER BY account_id, sequence, line_number",
        )
        assert [(*found[:4], found[4] and pico(found[4]), *found[5:]) for found in lines] == [
            (c.charge_id, number, line.kind, line.quantity, line.amount, line.status, line.reason)
            for c in expected
            for number, line in enumerate(c.lines, 1)
        ]
        events = [r for r in records if isinstance(r, AccountEvent)]
        changes = rows(path, "SELECT account_id, sequence, change FROM accounts ORDER BY 1, 2")
        assert changes == sorted(
            (e.account_id, e.sequence, type(e.change).__name__) for e in events
        )
        codes = rows(path, "SELECT code, event_id FROM rejections ORDER BY ALL")
        rejected = [r for r in records if isinstance(r, Rejection)]
        assert codes == sorted((r.refusal.code, r.event_id) for r in rejected)
        journal = rows(path, 'SELECT "commit", previous, consumed, charges FROM journal ORDER BY 1')
        assert journal == [
            (c.commit, c.previous, c.counts.consumed, c.counts.charges) for c in commits
        ]
        assert rows(
            path,
            'SELECT count(*) FROM journal a JOIN journal b ON b."commit" = a."commit" + 1 '
            "WHERE b.previous != a.digest",
        ) == [(0,)]
        published = rows(path, "SELECT tariff_id, version FROM tariffs ORDER BY version")
        assert published == [("plan", 1), ("plan", 2), ("plan", 3)]


def test_usage_has_a_row_for_each_event_whatever_it_came_in(tmp_path: Path) -> None:
    cluster = new_cluster()
    event = usage_fields(
        "e1",
        "2026-11-02T00:00:00.123456Z",
        {"input": 7, "pass_through_cost": 5},
        attributes={"team": "search"},
    )
    cluster.append(USAGE, encode_usage(event), b"acme")
    cluster.append(
        USAGE, encode_usage_batch([{**event, "event_id": "e2"}, {**event, "event_id": "e3"}])
    )
    document = {"specversion": "1.0", "id": "e4", "source": "gateway-1", "type": "tollbook.usage"}
    cluster.append(USAGE, json.dumps(document).encode())
    cluster.append(USAGE, b"\xc3\x01 not usage")
    cluster.append(USAGE, b"")
    forwarded = {
        "position": {"topic": "usage", "partition": 1, "offset": 9, "index": 2},
        "received_at": 1_798_761_600_000_000,
        "usage": encode_usage({**event, "event_id": "e5"}),
    }
    cluster.append(
        TopicPartition("usage-forwarded", 1), encode(latest("forwarded_usage"), forwarded)
    )
    archived(cluster, tmp_path)
    found = rows(
        tmp_path,
        'SELECT "partition", "offset", "index", event_id, input, pass_through_cost, '
        "epoch_us(occurred_at), attributes['team'], refusal, forwarded FROM usage ORDER BY ALL",
    )
    at = event["occurred_at"]
    cost = Decimal(5) / PICO
    assert found == [
        (0, 0, 0, "e1", 7, cost, at, "search", None, False),
        (0, 1, 0, "e2", 7, cost, at, "search", None, False),
        (0, 1, 1, "e3", 7, cost, at, "search", None, False),
        (0, 2, 0, None, None, None, None, None, found[3][8], False),
        (0, 3, 0, None, None, None, None, None, "unknown_schema", False),
        (0, 4, 0, None, None, None, None, None, "empty_record", False),
        (1, 0, 0, "e5", 7, cost, at, "search", None, True),
    ]
    assert found[3][8]
    received = rows(tmp_path, "SELECT epoch_us(received_at) FROM usage WHERE forwarded")
    assert received == [(1_798_761_600_000_000,)]


def test_every_view_has_its_columns_also_when_nothing_is_archived(tmp_path: Path) -> None:
    archived(new_cluster(), tmp_path)
    for view in VIEWS:
        relation = sql(tmp_path, f'SELECT * FROM "{view}"')  # noqa: S608 - a name of ours
        assert relation.fetchall() == []
        kinds = [str(kind) for kind in relation.types]
        assert not [kind for kind in kinds if "HUGEINT" in kind or "DOUBLE" in kind]
    assert rows(tmp_path, "SHOW TABLES") == [(name,) for name in sorted(VIEWS)]


def test_only_files_that_a_manifest_names_are_read(tmp_path: Path) -> None:
    cluster = new_cluster()
    cluster.append(USAGE, encode_usage(usage_fields("e1", "2026-11-02T00:00:00Z", {"input": 1})))
    archive = archived(cluster, tmp_path)
    file = archive.file(USAGE, archive.manifest(USAGE).segments[0])
    (file.parent / "00000000000000000001-00000000000000000002.parquet").write_bytes(
        file.read_bytes()
    )
    assert rows(tmp_path, "SELECT count(*) FROM usage") == [(1,)]


@pytest.mark.parametrize(
    "query",
    [
        "DROP VIEW usage",
        "CREATE TABLE mine (a INTEGER)",
        "COPY (SELECT 1) TO 'out.csv'",
        "ATTACH 'other.db'",
        "SELECT 1; SELECT 2",
        "SET enable_external_access = true",
        "",
    ],
)
def test_anything_but_one_select_is_refused(query: str, tmp_path: Path) -> None:
    archived(new_cluster(), tmp_path)
    with pytest.raises(ArchiveError, match="expected one SELECT"):
        sql(tmp_path, query)


def test_a_query_reads_no_other_file_of_the_machine(tmp_path: Path) -> None:
    archived(new_cluster(), tmp_path)
    (tmp_path / "secret.csv").write_text("a\n1\n")
    with pytest.raises(duckdb.PermissionException):
        sql(tmp_path, f"FROM read_csv('{tmp_path}/secret.csv')").fetchall()
    connection = connect(Archive(tmp_path))
    for statement in (
        f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
        "SET enable_external_access = true",
    ):
        with pytest.raises(duckdb.Error):
            connection.execute(statement)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    cluster = new_cluster()
    for number, tokens in enumerate((1, 2), 1):
        event = usage_fields(
            f"e{number}", "2026-11-02T00:00:00Z", {"input": tokens, "pass_through_cost": tokens}
        )
        cluster.append(USAGE, encode_usage(event))
    archived(cluster, tmp_path)
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    done = CliRunner().invoke(app, ["sql", *arguments, "--archive", str(folder)])
    assert done.exit_code == 0, done.output
    return done.stdout


QUERY = (
    "SELECT event_id, input, pass_through_cost AS cost, occurred_at, 'ab'::BLOB AS bytes, "
    "[1, NULL] AS list, DATE '2026-11-02' AS day FROM usage ORDER BY event_id"
)


def test_json_holds_decimals_as_exact_texts_and_times_in_utc(folder: Path) -> None:
    first, second = map(json.loads, run(folder, QUERY, "--json").splitlines())
    assert first == {
        "event_id": "e1",
        "input": 1,
        "cost": "0.000000000001",
        "occurred_at": "2026-11-02T00:00:00.000000Z",
        "bytes": "6162",
        "list": [1, None],
        "day": "2026-11-02",
    }
    assert (second["event_id"], second["cost"]) == ("e2", "0.000000000002")


def test_csv_has_a_header_and_a_line_per_row(folder: Path) -> None:
    assert run(folder, QUERY, "--csv").splitlines() == [
        "event_id,input,cost,occurred_at,bytes,list,day",
        'e1,1,0.000000000001,2026-11-02T00:00:00.000000Z,6162,"[1, null]",2026-11-02',
        'e2,2,0.000000000002,2026-11-02T00:00:00.000000Z,6162,"[1, null]",2026-11-02',
    ]


def test_a_table_shows_the_same_and_cuts_long_bytes(folder: Path) -> None:
    shown = run(folder, "SELECT event_id, repeat('a', 100)::BLOB AS long FROM usage ORDER BY 1")
    assert shown.splitlines()[1].split() == ["e1", "61" * 32 + "...", "(100", "bytes)"]


@pytest.mark.parametrize(
    ("query", "message"),
    [("SELECT * FROM nothing", "nothing does not exist"), ("DROP VIEW usage", "one SELECT")],
)
def test_what_is_refused_is_said(query: str, message: str, folder: Path) -> None:
    done = CliRunner().invoke(app, ["sql", query, "--archive", str(folder)])
    assert isinstance(done.exception, ArchiveError)
    assert message in str(done.exception)


def test_a_file_that_compaction_takes_away_meanwhile_is_asked_for_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def vanishing(archive: Archive, query: str) -> object:
        calls.append(query)
        if len(calls) == 1:
            raise duckdb.IOException("No files found")
        return ask(archive, query)

    monkeypatch.setattr("engine.entrypoints.cli.sql.ask", vanishing)
    assert run(folder, "SELECT count(*) AS n FROM usage", "--csv") == "n\n2\n"
    assert len(calls) == 2


def test_the_example_of_the_page_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder.parent / "here").mkdir()
    monkeypatch.chdir(folder.parent / "here")
    Path("archive").symlink_to(folder)
    (example,) = (b for b in blocks(DOCS / "explanation" / "archive.md") if b.language == "python")
    exec(example.text, {})  # noqa: S102 - our own page
    assert "amount" in capsys.readouterr().out


def test_memory_and_archive_agree_on_the_balances_of_the_fold(tmp_path: Path) -> None:
    cluster = new_cluster()
    assert replay_balances(ArchiveLog(archived(cluster, tmp_path)), 2) == []
    assert replay_balances(MemoryLog(cluster), 2) == []
