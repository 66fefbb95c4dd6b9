"""
What the manifests start is what the tests start, under settings that each process accepts.

Compose and Kubernetes are read as plain YAML; where `kubectl` is there, the overlays are rendered as well.
"""

import importlib
from pathlib import Path

import pytest

from services.conversations.settings import ConversationsSettings
from services.matcher.settings import MatcherSettings
from services.observer.app import STOP_SECONDS_MAX
from services.observer.settings import ObserverSettings
from services.operator.cli import app as holdfast
from services.operator.settings import OperatorSettings
from services.reasoner.settings import ReasonerSettings
from services.verifier.settings import VerifierSettings
from shared.broker.local.artifacts import DEFAULT_VERSION
from shared.broker.topics import TopicsSettings
from shared.events.topics import TOPICS
from shared.llm.rehearsal.__main__ import read_arguments
from shared.llm.rehearsal.settings import RehearsalSettings
from shared.settings import FILE_SUFFIX, read_settings
from shared.stage.settings import StageSettings
from tests.contract.manifests import K8S, documents

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "conversations": ConversationsSettings,
    "matcher": MatcherSettings,
    "observer": ObserverSettings,
    "reasoner": ReasonerSettings,
    "verifier": VerifierSettings,
}
CALLS_MODEL = {"matcher", "reasoner", "verifier"}
INPUTS = {
    "conversations": "conversation.events",
    "matcher": "turns.opened",
    "reasoner": "turns.matched",
    "verifier": "turns.drafted",
}
DRAIN_SECONDS = max(StageSettings().drain_seconds, STOP_SECONDS_MAX)


def only(file, kind):
    [found] = [document for document in documents(file) if document["kind"] == kind]
    return found


def deployment(service):
    return only(K8S / f"base/{service}.yaml", "Deployment")


def pod(service):
    return deployment(service)["spec"]["template"]["spec"]


def container(service):
    [held] = pod(service)["containers"]
    return held


def env_file(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def accepted(service, environ, tmp_path):
    """The settings of a service under *environ*, its files being there."""
    secret = tmp_path / "secret"
    secret.write_text("a-secret", encoding="utf-8")
    files = {name: str(secret) if name.endswith(FILE_SUFFIX) else value for name, value in environ.items()}
    return read_settings(SETTINGS[service], files)


@pytest.fixture(scope="module")
def compose():
    [document] = documents(ROOT / "deploy/compose.yaml")
    return document


@pytest.mark.parametrize("service", SETTINGS)
def test_every_command_is_the_one_that_the_tests_run(service, compose):
    command = ["python", "-m", f"services.{service}"]

    assert container(service)["command"] == command
    assert compose["services"][service]["command"] == command
    assert callable(importlib.import_module(f"{command[-1]}.__main__").main)


def holdfast_commands():
    yield from (
        pytest.param(held["command"][1:], id=f"compose-{name}")
        for name, held in documents(ROOT / "deploy/compose.yaml")[0]["services"].items()
        if held.get("command", [""])[0] == "holdfast" and name != "operator"
    )
    job = only(K8S / "base/topics.yaml", "Job")
    yield pytest.param(job["spec"]["template"]["spec"]["containers"][0]["command"][1:], id="k8s-topics")
    heartbeat = only(K8S / "components/heartbeat/heartbeat.yaml", "Deployment")
    yield pytest.param(heartbeat["spec"]["template"]["spec"]["containers"][0]["command"][1:], id="k8s-heartbeat")


@pytest.mark.parametrize("arguments", list(holdfast_commands()))
def test_every_job_calls_a_command_that_holdfast_has(arguments):
    groups = {group.name: group.typer_instance for group in holdfast.registered_groups}
    inside = groups.get(arguments[0], holdfast)
    commands = {command.name or command.callback.__name__ for command in inside.registered_commands}

    assert arguments[-1 if inside is holdfast else 1] in commands


def test_the_sample_playbook_lies_where_the_image_has_it(compose):
    path = compose["services"]["playbook"]["command"][3]

    assert path.startswith("/opt/holdfast/lib/python3.11/site-packages/")
    assert (ROOT / path.split("site-packages/")[1]).exists()


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(documents(ROOT / "deploy/compose.yaml")[0]["services"]["rehearsal"]["command"], id="compose"),
        pytest.param(
            only(K8S / "overlays/demo/rehearsal.yaml", "Deployment")["spec"]["template"]["spec"]["containers"][0][
                "command"
            ],
            id="k8s",
        ),
    ],
)
def test_the_rehearsal_model_is_started_with_arguments_that_it_has(command):
    assert command[:3] == ["python", "-m", "shared.llm.rehearsal"]
    host, port, settings = read_arguments(command[3:], RehearsalSettings())

    assert (host, port) == ("0.0.0.0", 8081)  # noqa: S104 - other containers are to reach it
    assert settings.base_latency_seconds == 0.15


@pytest.mark.parametrize("service", SETTINGS)
@pytest.mark.parametrize("overlay", ["base", "demo", "production"])
def test_kubernetes_gives_settings_that_the_service_accepts(service, overlay, tmp_path):
    environ = env_file(K8S / "base/settings.env")
    environ |= {entry["name"]: entry["value"] for entry in container(service).get("env", ())}
    if overlay == "production":
        environ |= env_file(K8S / "overlays/production/settings.env")
        patch = only(K8S / f"overlays/production/principals/{service}.yaml", "Deployment")
        [patched] = patch["spec"]["template"]["spec"]["containers"]
        environ |= {entry["name"]: entry["value"] for entry in patched["env"]}
    if overlay == "demo":
        [generator] = documents(K8S / "overlays/demo/kustomization.yaml")[0]["configMapGenerator"]
        environ |= dict(literal.split("=", 1) for literal in generator["literals"])

    settings = accepted(service, environ, tmp_path)

    assert (settings.telemetry.host, settings.telemetry.port) == ("0.0.0.0", 9464)  # noqa: S104
    if overlay == "production":
        assert settings.kafka.security_protocol == "SASL_SSL"
        assert settings.kafka.sasl_username == service
        assert settings.kafka.sasl_password.get_secret_value() == "a-secret"
        assert settings.kafka.ssl_cafile == "/run/secrets/holdfast/kafka/ca.crt"
    if service in CALLS_MODEL:
        assert settings.llm.key.get_secret_value() == "a-secret"


@pytest.mark.parametrize("service", SETTINGS)
def test_compose_gives_settings_that_the_service_accepts(service, compose, tmp_path):
    environ = {
        name: value.split(":-", 1)[1].rstrip("}") if value.startswith("${") else value
        for name, value in compose["services"][service]["environment"].items()
    }

    settings = accepted(service, environ, tmp_path)

    assert settings.kafka.bootstrap_servers == "kafka:9092"


def test_the_operators_jobs_are_given_settings_that_it_accepts():
    settings = read_settings(OperatorSettings, env_file(K8S / "base/settings.env"))

    assert settings.topics == TopicsSettings()


@pytest.mark.parametrize("service", SETTINGS)
def test_no_secret_stands_in_a_manifest(service):
    for entry in container(service).get("env", ()):
        assert not any(word in entry["name"] for word in ("KEY", "PASSWORD")) or entry["name"].endswith(FILE_SUFFIX)
    for file in K8S.rglob("*.env"):
        assert not any("PASSWORD" in name or name.endswith("_KEY") for name in env_file(file)), file


def shape(value, names):
    """*value* without what makes one service another."""
    if isinstance(value, dict):
        return {key: shape(held, names) for key, held in value.items() if key != "resources"}
    if isinstance(value, list):
        return [shape(held, names) for held in value]
    text = str(value)
    for name in names:
        text = text.replace(name, "SERVICE")
    return text


def test_all_deployments_have_the_same_shape():
    """But for the model's key where there is a model, the views' port of the observer, and resources."""
    shapes = {}
    for service in SETTINGS:
        held = deployment(service)
        inside = held["spec"]["template"]
        inside["metadata"]["labels"].pop("holdfast/calls-model")
        [only_container] = inside["spec"]["containers"]
        only_container.pop("env", None)
        only_container["ports"] = [port for port in only_container["ports"] if port["name"] == "telemetry"]
        only_container["volumeMounts"] = [m for m in only_container["volumeMounts"] if m["name"] != "model"]
        inside["spec"]["volumes"] = [volume for volume in inside["spec"]["volumes"] if volume["name"] != "model"]
        shapes[service] = shape(held, [service])

    assert all(held == shapes["matcher"] for held in shapes.values())


@pytest.mark.parametrize("service", SETTINGS)
def test_a_pod_has_the_time_to_drain(service):
    assert pod(service)["terminationGracePeriodSeconds"] >= DRAIN_SECONDS + 10


def test_the_drain_that_the_manifests_set_is_the_one_that_the_grace_is_measured_by():
    assert float(env_file(K8S / "base/settings.env")["HOLDFAST_STAGE_DRAIN_SECONDS"]) <= DRAIN_SECONDS


@pytest.mark.parametrize("service", SETTINGS)
def test_compose_grants_the_time_to_drain(service, compose):
    assert float(compose["services"][service]["stop_grace_period"].removesuffix("s")) >= DRAIN_SECONDS + 10


@pytest.mark.parametrize("service", SETTINGS)
def test_probes_ask_the_telemetry_port_and_only_readiness_asks_for_readiness(service):
    held = container(service)
    paths = {name: held[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}

    assert {"name": "telemetry", "containerPort": 9464} in held["ports"]
    assert {path["port"] for path in paths.values()} == {"telemetry"}
    assert {name: path["path"] for name, path in paths.items()} == {
        "startupProbe": "/healthz",
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }


@pytest.mark.parametrize("service", SETTINGS)
def test_a_pod_can_do_no_more_than_its_work(service):
    inside, held = pod(service), container(service)

    assert inside["enableServiceLinks"] is False
    assert inside["automountServiceAccountToken"] is False
    assert inside["securityContext"]["runAsNonRoot"] is True
    assert inside["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert held["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"requests", "limits"} == held["resources"].keys()
    assert "cpu" not in held["resources"]["limits"], "throttling holds heartbeats back"


@pytest.mark.parametrize("service", SETTINGS)
def test_pods_are_spread_and_taken_one_at_a_time(service):
    labels = deployment(service)["spec"]["selector"]["matchLabels"]
    budget = only(K8S / f"base/{service}.yaml", "PodDisruptionBudget")

    assert budget["spec"] == {"maxUnavailable": 1, "selector": {"matchLabels": labels}}
    assert {constraint["topologyKey"] for constraint in pod(service)["topologySpreadConstraints"]} == {
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    }
    assert labels.items() <= deployment(service)["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize("service", SETTINGS)
def test_only_what_calls_a_model_may_leave_for_one_and_has_its_key(service):
    calls = deployment(service)["spec"]["template"]["metadata"]["labels"]["holdfast/calls-model"]
    volumes = {volume["name"] for volume in pod(service)["volumes"]}

    assert (calls == "true") == (service in CALLS_MODEL) == ("model" in volumes)


@pytest.mark.parametrize("service", INPUTS)
def test_a_stage_scales_on_its_own_group_and_topic_within_its_partitions(service):
    scaled = only(K8S / f"components/autoscaling/{service}.yaml", "ScaledObject")["spec"]
    lag, age = scaled["triggers"]

    assert scaled["scaleTargetRef"]["name"] == deployment(service)["metadata"]["name"]
    assert (lag["type"], age["type"]) == ("kafka", "prometheus")
    assert (lag["metadata"]["consumerGroup"], lag["metadata"]["topic"]) == (service, INPUTS[service])
    assert lag["metadata"]["topic"] in TOPICS
    assert lag["metadata"]["limitToPartitionsWithLag"] == "true"
    assert f'stage="{service}"' in age["metadata"]["query"]
    assert age["metricType"] == "Value"
    assert scaled["minReplicaCount"] >= 1, "transaction markers and timers: never to zero"
    assert scaled["maxReplicaCount"] <= TopicsSettings().partitions


def test_the_broker_is_the_one_that_the_tests_run_on(compose):
    [node] = only(K8S / "overlays/demo/kafka.yaml", "StatefulSet")["spec"]["template"]["spec"]["containers"]

    assert {compose["services"]["kafka"]["image"], node["image"]} == {f"apache/kafka:{DEFAULT_VERSION}"}


def test_whatever_runs_our_image_is_hardened_and_says_how_it_is_built(compose):
    ours = [held for held in compose["services"].values() if held["image"].startswith("holdfast:")]

    assert len(ours) == 10
    for held in ours:
        assert held["build"] == {"context": "..", "dockerfile": "deploy/Dockerfile"}
        assert held["read_only"] is True
        assert held["cap_drop"] == ["ALL"]


def test_every_image_is_pinned_by_version(compose):
    images = {held["image"] for held in compose["services"].values()}

    assert all(":" in image and not image.endswith(":latest") for image in images)


def test_every_file_that_a_kustomization_names_exists():
    for file in K8S.rglob("kustomization.yaml"):
        [kustomization] = documents(file)
        named = [*kustomization.get("resources", ()), *kustomization.get("components", ())]
        named += [patch["path"] for patch in kustomization.get("patches", ()) if "path" in patch]
        named += [path for held in kustomization.get("configMapGenerator", ()) for path in held.get("envs", ())]
        assert named, file
        for path in named:
            assert (file.parent / path).exists(), f"{file}: {path}"


def test_an_overlay_renders(overlay):
    names = {document["metadata"]["name"] for document in overlay if document["kind"] == "Deployment"}
    settings = {document["metadata"]["name"] for document in overlay if document["kind"] == "ConfigMap"}

    assert names >= SETTINGS.keys()
    assert len(settings) == 1
    for document in overlay:
        if document["kind"] == "Deployment" and document["metadata"]["name"] in SETTINGS:
            [held] = document["spec"]["template"]["spec"]["containers"]
            assert {held["envFrom"][0]["configMapRef"]["name"]} == settings
            assert held["image"].startswith("holdfast:")
        if document["kind"] == "ScaledObject":
            kafka = document["spec"]["triggers"][0]
            assert kafka["authenticationRef"] == {"name": "holdfast-keda-kafka"}
            assert "kafka:9092" not in kafka["metadata"]["bootstrapServers"]
