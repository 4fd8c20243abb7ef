"""The views of an archive, as SQL over the rows of its topics.

Each query reads ``stored."TOPIC"``, the rows as the files have them: the envelope of columns and a
struct for each type of record (`replay.archive.tables`). A view names its columns flat, in the words of the records' reference.
"""

VIEWS = {
    "usage": """
        SELECT "partition", "offset", "index", appended_at, appended_at AS received_at, refusal,
            FALSE AS forwarded, e.* EXCLUDE (quantities), unnest(e.quantities)
        FROM (SELECT *, usage_event AS e FROM stored."usage")
        UNION ALL BY NAME
        SELECT "partition", "offset", "index", appended_at, f.received_at AS received_at, refusal,
            TRUE AS forwarded, e.* EXCLUDE (quantities), unnest(e.quantities)
        FROM (SELECT *, usage_event AS e, forwarded_usage AS f FROM stored."usage-forwarded")
    """,
    "journal": """
        SELECT "partition", "offset", appended_at, c."commit", unhex(sha256(value)) AS digest,
            c.previous, c.positions, c.tariffs_offset, unnest(c.counts), value
        FROM (SELECT *, journal_commit AS c FROM stored."journal" WHERE type = 'journal_commit')
    """,
    "charges": """
        SELECT "partition", "offset", "index", c.* EXCLUDE (lines, usage, tariff, supplier),
            c.usage.source, c.usage.event_id, c.usage.digest, c.usage.position,
            c.tariff.tariff_id, c.tariff.version AS tariff_version,
            c.tariff.digest AS tariff_digest, c.tariff."offset" AS tariff_offset,
            c.supplier.tariff.tariff_id AS supplier_tariff_id,
            c.supplier.tariff.version AS supplier_tariff_version,
            c.supplier.currency AS supplier_currency,
            c.supplier.cost AS cost_in_supplier_currency,
            nullif(c.supplier.rate, '') AS exchange_rate,
            c.supplier.rate_offset AS exchange_rate_offset, c.lines
        FROM (SELECT *, charge_event AS c FROM stored."journal" WHERE type = 'charge_event')
    """,
    "charge_lines": """
        SELECT charge_id, account_id, subject, sequence, occurred_at, service_period, provider,
            model, operation, service_tier, region, tariff_id, tariff_version, currency,
            line_number, l.*
        FROM (
            SELECT *, unnest(lines) AS l, generate_subscripts(lines, 1) AS line_number FROM charges
        )
    """,
    "tariffs": """
        SELECT "offset", appended_at, type, refusal, tariff_version.tariff_id,
            tariff_version.version, tariff_version.digest,
            tariff_version.document::JSON AS document, source_registration, rules_revision,
            exchange_rate
        FROM stored."tariffs"
    """,
    "exchange_rates": """
        SELECT "offset", appended_at, r.*
        FROM (SELECT *, exchange_rate AS r FROM stored."tariffs" WHERE type = 'exchange_rate')
    """,
    "accounts": """
        SELECT "partition", "offset", "index", e.* EXCLUDE (change), e.change.type AS change,
            e.change.fields::JSON AS fields
        FROM (SELECT *, account_event AS e FROM stored."journal" WHERE type = 'account_event')
    """,
    "rejections": """
        SELECT "partition", "offset", "index", r.*
        FROM (SELECT *, rejection AS r FROM stored."journal" WHERE type = 'rejection')
    """,
    "balances": """
        WITH records AS (
            SELECT account_id, sequence, currency, amount, received_at, 1 AS charges,
                len(list_filter(lines, lambda line: line.status = 'suspense')) AS suspended_lines
            FROM charges
            UNION ALL
            SELECT account_id, sequence,
                CASE WHEN change = 'AccountOpened' THEN fields ->> 'currency' END,
                0, received_at, 0, 0
            FROM accounts
        )
        SELECT account_id, max(sequence) AS sequence, coalesce(max(currency), '') AS currency,
            sum(amount)::DECIMAL(38, 12) AS due, sum(charges)::BIGINT AS charges,
            sum(suspended_lines)::BIGINT AS suspended_lines,
            arg_max(received_at, sequence) AS as_of
        FROM records GROUP BY account_id ORDER BY account_id
    """,
}
"""Each view's query, in an order in which one may use those before it."""
