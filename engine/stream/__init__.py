"""The stream: one direction, decode -> check -> rate -> encode -> commit.

`intake` turns records into checked events, `partition` decides them and collects one commit,
`worker` wraps poll and transaction around it, `recovery` rebuilds a partition from its journal,
`projector` derives every other topic from the journal. Nothing here knows a price; nothing in
`engine.rating` knows Kafka.
"""
