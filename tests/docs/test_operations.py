"""What operators are given is held to the code: compose, dashboard, alerts, metrics, events."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from engine.adapters.metrics import ProcessTelemetry, ProjectorTelemetry, WorkerTelemetry
from engine.adapters.metrics_server import PATHS
from engine.entrypoints.cli.main import app
from engine.http.metrics import HttpTelemetry
from engine.settings import KafkaSettings
from tests.docs.events import events
from tests.docs.pages import DOCS, ROOT

OPERATIONS = DOCS / "operations"
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
PROMETHEUS = yaml.safe_load((OPERATIONS / "prometheus.yml").read_text(encoding="utf-8"))
ALERTS = yaml.safe_load((OPERATIONS / "alerts.yml").read_text(encoding="utf-8"))
RULES: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((OPERATIONS / "grafana" / "tollbook.json").read_text(encoding="utf-8"))
METRICS_PAGE = (DOCS / "reference" / "metrics.md").read_text(encoding="utf-8")
EVENTS_PAGE = (DOCS / "reference" / "events.md").read_text(encoding="utf-8")
OPERATE_PAGE = (DOCS / "how-to" / "operate.md").read_text(encoding="utf-8")
_NAME = re.compile(r"\b(?:tollbook|process)_[a-z_]+\b")
_SUFFIX = re.compile(r"_(bucket|count|sum)$")


def exposed() -> dict[str, tuple[str, frozenset[str]]]:
    """Return type and labels of every metric of ours, as it is named in Prometheus."""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    telemetries: list[ProcessTelemetry] = [
        WorkerTelemetry("a"), ProjectorTelemetry("a"), HttpTelemetry("a"),
    ]  # fmt: skip
    for telemetry in telemetries:
        for metric in vars(telemetry).values():
            if hasattr(metric, "_labelnames"):
                suffix = {"counter": "_total", "info": "_info"}.get(metric._type, "")  # noqa: SLF001 - the library shows labels nowhere else
                labels = metric._labelnames  # noqa: SLF001
                if suffix == "_info":
                    labels = ("role", "slot", "version")
                kind = "gauge" if suffix == "_info" else metric._type  # noqa: SLF001
                found[f"{metric._name}{suffix}"] = (kind, frozenset(labels))  # noqa: SLF001
    return found


def expressions() -> list[str]:
    """Return every PromQL expression of the dashboard and the alerts."""
    shown = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return [*shown, *(rule["expr"] for rule in RULES)]


def metrics_in(expression: str) -> set[str]:
    return {_SUFFIX.sub("", name) for name in _NAME.findall(expression)}


def test_every_metric_is_documented_with_its_type_and_labels_and_no_other() -> None:
    rows = re.findall(r"^\| `(tollbook_\w+)` \| (\w+) \|([^|]*)\|", METRICS_PAGE, re.MULTILINE)
    documented = {
        name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows
    }
    assert len(rows) == len(documented)
    assert documented == exposed()


def test_the_paths_of_the_port_are_documented() -> None:
    assert re.findall(r"^\| `(/\w+)` \|", METRICS_PAGE, re.MULTILINE) == list(PATHS)


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_asks_for_metrics_and_labels_that_exist(expression: str) -> None:
    known = exposed()
    names = metrics_in(expression)
    ours = {name for name in names if name.startswith("tollbook_")}
    assert names or expression.startswith(("up", "sum(up"))
    assert ours <= set(known)
    labels = {label for name in ours for label in known[name][1]}
    grouped = re.findall(r"\bby \(([^)]*)\)", expression)
    used = {label.strip() for group in grouped for label in group.split(",")}
    used |= set(re.findall(r'[{,](\w+)=~?"', expression))
    assert used <= labels | {"job", "instance", "le"}


@pytest.mark.parametrize("expression", expressions())
def test_a_counter_is_asked_for_its_rate_and_a_histogram_for_its_buckets(expression: str) -> None:
    for opened, closed in ("()", "[]", "{}"):
        assert expression.count(opened) == expression.count(closed)
    for name in _NAME.findall(expression):
        if name.endswith(("_total", "_bucket", "_count", "_sum")):
            assert re.search(rf"\b(rate|increase)\({name}\b", expression), name
    if "histogram_quantile" in expression:
        assert "le" in expression.partition(" by (")[2].partition(")")[0]


def test_the_dashboard_shows_every_metric() -> None:
    shown = {
        name
        for panel in DASHBOARD["panels"]
        for t in panel["targets"]
        for name in metrics_in(t["expr"])
    }
    assert set(exposed()) <= shown


def test_the_dashboard_is_laid_out_without_overlaps_and_its_panels_say_what_they_show() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        assert panel["title"]
        assert panel["description"]
        taken |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_every_alert_says_what_happened_and_the_page_says_what_to_do() -> None:
    assert all(rule["annotations"]["summary"].endswith((".", "?")) for rule in RULES)
    assert {rule["labels"]["severity"] for rule in RULES} == {"page", "ticket"}
    documented = re.findall(r"^\| `(Tollbook\w+)` \|", OPERATE_PAGE, re.MULTILINE)
    assert documented == [rule["alert"] for rule in RULES]


def test_every_event_is_documented_once_with_its_fields_and_no_other() -> None:
    rows = re.findall(r"^\| (`.+?) \| ([\w, ]+) \|([^|]*)\|", EVENTS_PAGE, re.MULTILINE)
    documented = [
        (name, level, field)
        for names, levels, fields in rows
        for name in re.findall(r"`([^`]+)`", names)
        for level in levels.split(", ")
        for field in [*re.findall(r"`(\w+)`", fields), ""]
    ]
    logged = {
        (event.name, event.level, field)
        for event in events()
        for field in (*(field for field in event.fields if field != "**"), "")
    }
    assert len(documented) == len(set(documented))
    assert logged <= set(documented)
    assert {name for name, _, _ in documented} == {event.name for event in events()}


def test_compose_runs_every_part_of_the_stack() -> None:
    assert set(SERVICES) == {
        "kafka", "init", "worker-1", "worker-2", "projector", "http", "clock", "archiver", "prometheus",
        "grafana",
    }  # fmt: skip


def test_every_image_of_others_is_pinned_to_a_version() -> None:
    images = [service["image"] for name, service in SERVICES.items() if name not in OURS]
    assert images
    assert all(re.search(r":v?\d+\.\d+\.\d+$", image) for image in images)


def test_no_port_is_open_to_the_network() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", OURS)
def test_a_command_of_compose_is_one_that_exists_and_takes_its_variables(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in SERVICES[name]["environment"].items():
        monkeypatch.setenv(variable, value)
    command: Any = get_command(app)
    arguments = list(SERVICES[name]["command"])
    while hasattr(command, "commands"):
        command = command.commands[arguments.pop(0)]
    context = command.make_context(name, arguments)
    if "TOLLBOOK_METRICS_PORT" in SERVICES[name]["environment"]:
        assert context.params["metrics_port"] == 9464
        assert context.params["metrics_host"] == "0.0.0.0"  # noqa: S104 - what compose says


@pytest.mark.parametrize("name", OURS)
def test_a_variable_of_compose_is_one_that_is_read(name: str) -> None:
    settings = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    assert all(f"`{variable}`" in settings for variable in SERVICES[name]["environment"])
    assert KafkaSettings(SERVICES[name]["environment"]["TOLLBOOK_BOOTSTRAP"])


def test_workers_have_slots_of_their_own_and_share_the_folder_of_caches_and_the_archive() -> None:
    workers = [service for name, service in SERVICES.items() if name.startswith("worker-")]
    assert len({worker["environment"]["TOLLBOOK_SLOT"] for worker in workers}) == len(workers) == 2
    assert {tuple(worker["volumes"]) for worker in workers} == {
        (
            "tollbook-state:/var/lib/tollbook",
            "tollbook-archive:/var/lib/tollbook-archive:ro",
        )
    }


def test_the_folders_of_the_volumes_belong_to_the_user_of_the_image() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (made,) = re.findall(r"install --directory --owner=tollbook (.*)", dockerfile)
    mounts = {volume.split(":")[1] for name in OURS for volume in SERVICES[name].get("volumes", ())}
    assert mounts == set(made.split())


def test_files_that_compose_mounts_are_there() -> None:
    mounts = [
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", ())
        if volume.startswith("./")
    ]
    assert len(mounts) == 5
    assert all((ROOT / Path(mount)).is_file() for mount in mounts)
    named = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", ())
        if not volume.startswith("./")
    }
    assert named == set(COMPOSE["volumes"])


def test_prometheus_scrapes_each_process_that_has_a_port_and_health_is_asked_of_each() -> None:
    watched = {
        f"{name}:{service['environment']['TOLLBOOK_METRICS_PORT']}"
        for name, service in SERVICES.items()
        if "TOLLBOOK_METRICS_PORT" in service.get("environment", {})
    }
    scraped = {
        target
        for job in PROMETHEUS["scrape_configs"]
        for static in job["static_configs"]
        for target in static["targets"]
    }
    assert scraped == watched
    for target in watched:
        name, _, port = target.partition(":")
        *_, program = SERVICES[name]["healthcheck"]["test"]
        ast.parse(program)
        assert f"http://127.0.0.1:{port}/health" in program


def test_grafana_is_given_the_datasource_that_the_dashboard_asks() -> None:
    folder = OPERATIONS / "grafana"
    datasources = yaml.safe_load((folder / "datasources.yml").read_text(encoding="utf-8"))
    (datasource,) = datasources["datasources"]
    asked = {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]}
    assert asked == {datasource["uid"]}
    dashboards = yaml.safe_load((folder / "dashboards.yml").read_text(encoding="utf-8"))
    (provider,) = dashboards["providers"]
    mounted = [volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]]
    assert f"{provider['options']['path']}/tollbook.json" in mounted
