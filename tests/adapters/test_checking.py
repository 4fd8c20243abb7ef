"""What a check finds, on described clusters: each setting that loses data, and what to change."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaConnectionError,
    NotLeaderForPartitionError,
)
from structlog.testing import capture_logs

from engine.adapters import local_checks
from engine.adapters.broker.configuration import BROKER_SETTINGS
from engine.adapters.kafka import checking
from engine.adapters.kafka.broker_checks import (
    check_broker,
    check_disks,
    check_group,
    check_version,
)
from engine.adapters.kafka.checking import (
    check_deployment,
    refuse_unreachable,
    refuse_wrong_settings,
)
from engine.adapters.kafka.findings import Finding, found, raise_first_error
from engine.adapters.kafka.topic_checks import Topic, check_internal, check_topic
from engine.adapters.kafka.topics import CONFIGS, configs_of
from engine.adapters.local_checks import check_home, check_machine
from engine.rating.errors import InvalidDocument
from engine.settings import KafkaSettings

DEFAULTS = {"unclean.leader.election.enable": "false", "min.insync.replicas": "2"}
BROKER = {
    "transaction.max.timeout.ms": "900000",
    "group.min.session.timeout.ms": "6000",
    "group.max.session.timeout.ms": "1800000",
    **BROKER_SETTINGS,
}
USAGE_TOPICS = {"t.usage", "t.usage-forwarded"}


def topic(
    name: str = "usage", partitions: int = 4, copies: int = 3, in_sync: int | None = None,
    leader: int = 1, **configs: str,
) -> Topic:  # fmt: skip
    changed = {key.replace("__", "."): value for key, value in configs.items()}
    described = [
        {
            "partition_index": number,
            "leader_id": leader,
            "replica_nodes": list(range(copies)),
            "isr_nodes": list(range(copies if in_sync is None else in_sync)),
        }
        for number in range(partitions)
    ]
    return Topic(f"t.{name}", described, {**DEFAULTS, **CONFIGS[name], **changed})


def not_well(findings: Any) -> list[tuple[str, str]]:
    """Return (level, place) of what is not well, and insist on advice for it."""
    told = [finding for finding in findings if finding.level != "ok"]
    assert all(finding.advice for finding in told)
    return [(finding.level, finding.place) for finding in told]


@pytest.mark.parametrize("name", CONFIGS)
def test_a_topic_as_it_is_created_is_well_on_three_brokers(name: str) -> None:
    partitions = 1 if name == "tariffs" else 4
    assert not_well(check_topic(name, topic(name, partitions), partitions)) == []


@pytest.mark.parametrize(
    ("name", "configs", "level"),
    [
        ("usage", {"retention__ms": "604800000"}, "error"),
        ("journal", {"retention__ms": "604800000"}, "error"),
        ("journal", {"retention__bytes": "1000000"}, "error"),
        ("journal", {"cleanup__policy": "compact"}, "error"),
        ("accounts", {"cleanup__policy": "delete,compact"}, "error"),
        ("usage", {"message__timestamp__type": "CreateTime"}, "error"),
        ("accounts", {"message__timestamp__type": "CreateTime"}, "error"),
        ("tariffs", {"message__timestamp__type": "CreateTime"}, "error"),
        ("journal", {"max__message__bytes": "1048588"}, "error"),
        ("rejections", {"max__message__bytes": "1048588"}, "error"),
        ("usage", {"unclean__leader__election__enable": "true"}, "error"),
        ("charges", {"retention__ms": "604800000"}, "warning"),
        ("balances", {"cleanup__policy": "delete"}, "warning"),
        ("usage", {"max__message__bytes": "2097152"}, "warning"),
        ("journal", {"max__message__bytes": "33554432"}, "ok"),
    ],
)
def test_each_setting_that_loses_data_is_found(
    name: str, configs: Mapping[str, str], level: str
) -> None:
    partitions = 1 if name == "tariffs" else 4
    described = topic(name, partitions, 3, None, 1, **configs)
    (key,) = (key.replace("__", ".") for key in configs)
    expected = [] if level == "ok" else [(level, f"topic t.{name}, {key}")]
    assert not_well(check_topic(name, described, partitions)) == expected


def test_the_advice_is_a_command_that_can_be_run() -> None:
    (finding,) = (
        finding
        for finding in check_topic("journal", topic("journal", retention__ms="1"), 4)
        if finding.level == "error"
    )
    assert finding.advice == (
        "As it is, records are deleted by age, whether archived or not. Run kafka-configs.sh "
        "--alter --entity-type topics --entity-name t.journal --add-config retention.ms=-1"
    )


def test_another_partition_count_is_an_error_that_tells_not_to_add_any() -> None:
    findings = list(check_topic("usage", topic(partitions=3), 4))
    assert not_well(findings) == [("error", "topic t.usage, partitions")]
    assert "Never add partitions" in findings[0].advice


@pytest.mark.parametrize(
    ("copies", "least", "level"),
    [(3, "2", "ok"), (3, "1", "error"), (3, "3", "warning"), (2, "1", "ok"), (1, "2", "error")],
)
def test_a_record_is_acknowledged_by_two_copies_and_can_do_without_one(
    copies: int, least: str, level: str
) -> None:
    described = topic(copies=copies, min__insync__replicas=least)
    expected = [(level, "topic t.usage, min.insync.replicas")] if level != "ok" else []
    found = [one for one in not_well(check_topic("usage", described, 4)) if "in sync" not in one[1]]
    assert found == expected


@pytest.mark.parametrize("copies", [1, 2, 3, 5])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_topic_is_created_so_that_a_worker_may_start_on_it(name: str, copies: int) -> None:
    configs = {**DEFAULTS, "min.insync.replicas": "1", **configs_of(name, copies)}
    described = topic(name, copies=copies)._replace(configs=configs)
    assert not_well(check_topic(name, described, 4)) == []


def test_partitions_that_nobody_leads_or_copies_are_told() -> None:
    place = "topic t.usage, partitions"
    without = check_topic("usage", topic(leader=-1), 4)
    behind = check_topic("usage", topic(in_sync=1), 4)
    assert not_well(without) == [("warning", f"{place} without a leader")]
    assert not_well(behind) == [("warning", f"{place} with too few copies in sync")]


def test_transactions_are_no_safer_than_the_topics_that_kafka_keeps_them_in() -> None:
    internal = topic(copies=1)._replace(name="__transaction_state")
    assert not_well(check_internal([internal], 3)) == [
        ("warning", "topic __transaction_state, copies")
    ]
    assert not_well(check_internal([internal], 1)) == []


def test_a_broker_with_the_settings_that_we_give_it_is_well() -> None:
    assert not_well(check_broker("broker 1", BROKER)) == []


@pytest.mark.parametrize(
    ("key", "value", "level"),
    [
        ("transaction.max.timeout.ms", "5000", "error"),
        ("group.min.session.timeout.ms", "10000", "error"),
        ("group.max.session.timeout.ms", "5000", "error"),
        ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "10000", "warning"),
        ("offsets.retention.minutes", "10080", "warning"),
        ("auto.create.topics.enable", "true", "warning"),
    ],
)
def test_each_broker_setting_that_matters_is_found(key: str, value: str, level: str) -> None:
    findings = list(check_broker("broker 1", {**BROKER, key: value}))
    assert not_well(findings) == [(level, f"broker 1, {key}")]
    assert any(f"Set {key}=" in finding.advice for finding in findings)


@pytest.mark.parametrize(
    ("version", "level"), [((2, 4), "error"), ((3, 9), "warning"), ((4, 0), "ok"), ((4, 3), "ok")]
)
def test_an_old_kafka_is_told(version: tuple[int, ...], level: str) -> None:
    assert check_version("broker 1", version).level == level


def group(protocol: str = "range", *topics: str) -> dict[str, Any]:
    member = {
        "member_id": "worker-1-abc",
        "group_instance_id": "worker-1",
        "member_metadata": {"topics": list(topics or USAGE_TOPICS)},
    }
    return {"protocol_data": protocol, "members": [member]}


def test_a_group_of_ours_is_well_and_so_is_an_empty_one() -> None:
    empty = {"protocol_data": "", "members": []}
    assert not_well(check_group("t.workers", group(), "classic", USAGE_TOPICS)) == []
    assert not_well(check_group("t.workers", empty, "classic", USAGE_TOPICS)) == []


@pytest.mark.parametrize("assignor", ["roundrobin", "cooperative-sticky", "sticky"])
def test_another_assignor_is_an_error(assignor: str) -> None:
    found = check_group("t.workers", group(assignor), "classic", USAGE_TOPICS)
    assert not_well(found) == [("error", "group t.workers, assignor")]


def test_a_group_of_the_new_protocol_is_an_error() -> None:
    found = check_group("t.workers", {"protocol_data": "", "members": []}, "consumer", USAGE_TOPICS)
    assert not_well(found) == [("error", "group t.workers, assignor")]


def test_a_member_that_reads_other_topics_is_an_error() -> None:
    found = check_group("t.workers", group("range", "t.usage"), "classic", USAGE_TOPICS)
    assert not_well(found) == [("error", "group t.workers, member worker-1, topics")]


def test_disks_that_fill_up_or_fail_are_told() -> None:
    def disk(error: int, free: int) -> dict[str, Any]:
        return {
            "log_dir": "data", "error_code": error, "usable_bytes": free, "total_bytes": 100,
        }  # fmt: skip

    dirs = [{"broker": 1, "log_dirs": [disk(0, 50), disk(0, 9), disk(56, 50), disk(0, -1)]}]
    assert not_well(check_disks(dirs)) == [
        ("warning", "broker 1, disk of data"),
        ("error", "broker 1, disk of data"),
    ]


def test_this_machine_is_well(tmp_path: Path) -> None:
    assert not_well(check_machine(tmp_path / "to" / "be" / "created")) == []


def test_a_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    home = tmp_path / "file"
    assert not_well(check_home(home)) == [("error", f"TOLLBOOK_HOME {home}")]


def test_a_library_that_is_missing_or_too_new_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = {"not-installed-anywhere": ((1,), (2,)), "lz4": ((1,), (4,))}
    monkeypatch.setattr(local_checks, "_NEEDED", needed)
    assert not_well(check_machine(tmp_path)) == [
        ("error", "package not-installed-anywhere"),
        ("error", "package lz4"),
    ]


@pytest.mark.parametrize("bootstrap", ["127.0.0.1:1", "no-port", "127.0.0.1:1, 127.0.0.1:x"])
def test_a_kafka_that_is_away_is_found_at_once(bootstrap: str) -> None:
    with pytest.raises(KafkaConnectionError, match=re.escape(bootstrap.split(",", maxsplit=1)[0])):
        refuse_unreachable(KafkaSettings(bootstrap))


class Forbidding:
    """An administrative client that may see nothing."""

    def __getattr__(self, _name: str) -> Any:
        def refuse(*_args: object, **_options: object) -> None:
            raise ClusterAuthorizationFailedError

        return refuse


class Starting:
    """An administrative client of a cluster whose leaders are elected after a while."""

    def __init__(self) -> None:
        self.asked = 0

    def describe_topics(self, _names: Sequence[str]) -> list[Any]:
        self.asked += 1
        if self.asked < 3:
            raise NotLeaderForPartitionError
        return []

    def __getattr__(self, name: str) -> Any:
        return getattr(Forbidding(), name)


def given(monkeypatch: pytest.MonkeyPatch, admin: object) -> None:
    @contextmanager
    def opened(_settings: KafkaSettings) -> Iterator[object]:
        yield admin

    monkeypatch.setattr(checking, "opened_admin", opened)
    monkeypatch.setattr(checking, "_PAUSE_SECONDS", 0.0)


def test_what_this_client_may_not_see_is_a_warning_and_stops_no_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given(monkeypatch, Forbidding())
    settings = KafkaSettings("host:1")
    assert {level for level, _ in not_well(check_deployment(settings))} == {"warning"}
    with capture_logs() as told:
        refuse_wrong_settings(settings, "workers")
    assert {event["event"] for event in told} == {"setting_risky"}
    assert {event["place"] for event in told} == {"topics", "broker settings", "groups"}


def test_a_cluster_that_is_about_to_have_leaders_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    admin = Starting()
    given(monkeypatch, admin)
    with pytest.raises(InvalidDocument, match="tollbook topics create"):
        refuse_wrong_settings(KafkaSettings("host:1"), "workers")
    assert admin.asked == 3


def test_the_first_error_refuses_and_says_what_to_change_and_how_many_more_there_are() -> None:
    wrong = Finding("error", "topic a, partitions", "3", "4", "Make it anew.")
    risky = Finding("warning", "copies", "1", "3", "Add some.")
    well = found("b", 1, "1", is_met=True, level="error", advice="Never said.")
    raise_first_error([risky, well])
    with pytest.raises(InvalidDocument) as refused:
        raise_first_error([risky, wrong, wrong])
    assert str(refused.value) == (
        "topic a, partitions: got '3', expected 4. Make it anew. (1 more: tollbook doctor)"
    )
