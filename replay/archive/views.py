"""SQL over an archive: an in-memory DuckDB with one view per idea.

The views of `queries` read exactly the files that the manifests name at that moment, merge the columns of older
and newer segments by name, and have all their columns also when nothing is archived yet. The
connection can read those files and nothing else of the machine, and takes one SELECT at a time.

    from replay.archive import sql
    sql("archive", "SELECT account_id, due FROM balances").show()

Money is DECIMAL(38,12) and times are in UTC; a sum of them is exact.
"""

from pathlib import Path

import duckdb
import pyarrow as pa

from replay.archive.errors import ArchiveError
from replay.archive.folder import Archive
from replay.archive.layout import TOPICS
from replay.archive.queries import VIEWS
from replay.archive.tables import table_of


def connect(archive: Archive) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB connection with the views of an archive, as it is now; read-only."""
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("CREATE SCHEMA stored; CREATE SCHEMA columns")
    files = []
    for topic in TOPICS:
        found = _files(archive, topic)
        _add_rows(connection, topic, found)
        files += found
    for name, query in VIEWS.items():
        connection.execute(f'CREATE VIEW "{name}" AS {query}')
    connection.execute("SET allowed_paths = $1", [files])
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def sql(path: Path | str, query: str) -> duckdb.DuckDBPyRelation:
    """Return the answer to one SELECT over the archive at `path`, as a DuckDB relation.

    ArchiveError if there is no archive or the query is anything else; duckdb.Error if DuckDB
    refuses it. The relation is lazy: if compaction replaces a file before it is read, ask again.
    """
    connection = connect(Archive(Path(path)))
    _require_select(connection, query)
    relation = connection.sql(query)
    assert relation is not None  # noqa: S101 - a SELECT has an answer
    return relation


def ask(archive: Archive, query: str) -> duckdb.DuckDBPyConnection:
    """Run one SELECT; return the cursor with its answer, to be fetched in parts. As `sql`."""
    connection = connect(archive)
    _require_select(connection, query)
    return connection.execute(query)


def _require_select(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    statements = connection.extract_statements(query)
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise ArchiveError("the query: got something else, expected one SELECT (or DESCRIBE, SHOW)")


def _files(archive: Archive, topic: str) -> list[str]:
    """Return the files that a topic's manifests name."""
    return [
        str(archive.file(name, segment).resolve())
        for name in archive.names(topic)
        for segment in archive.manifest(name).segments
    ]


def _add_rows(connection: duckdb.DuckDBPyConnection, topic: str, files: list[str]) -> None:
    """Add the view of a topic's rows: an empty table with all columns, then the files by name."""
    schema = pa.schema([pa.field("partition", pa.int32()), *table_of(topic).schema])
    connection.from_arrow(schema.empty_table()).create(f"columns.{topic}")
    query = f'FROM columns."{topic}"'
    if files:
        query += f"""
            UNION ALL BY NAME
            FROM read_parquet({_list(files)}, union_by_name = true,
                hive_partitioning = true, hive_types = {{'partition': INTEGER}})"""
    connection.execute(f'CREATE VIEW stored."{topic}" AS {query}')


def _list(files: list[str]) -> str:
    """Return a list of texts as SQL: a view takes no parameters."""
    quoted = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    return f"[{quoted}]"
