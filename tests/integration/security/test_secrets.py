"""
Secrets come from the environment or a file, and are seen nowhere afterwards: not in logs at any level, metrics, health,
exceptions, dumps of settings, or what the `holdfast` command prints.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from services.conversations.settings import ConversationsSettings
from services.matcher.settings import MatcherSettings
from services.observer.settings import ObserverSettings
from services.operator.settings import OperatorSettings
from services.reasoner.settings import ReasonerSettings
from services.verifier.settings import VerifierSettings
from shared.broker.local import free_port_base
from shared.errors import Fatal
from shared.settings import read_settings, variable_names

ROOT = Path(__file__).parents[3]
EVERY = (
    ConversationsSettings,
    MatcherSettings,
    ReasonerSettings,
    VerifierSettings,
    ObserverSettings,
    OperatorSettings,
)
SECRET_WORDS = ("key", "password", "secret", "token")
NO_SECRETS = {"ssl_keyfile", "prompt_cache_key", "secrets_directory", "seconds_per_output_token"}
"""Named like secrets, but a path, a switch or a pace."""
SASL_PASSWORD, MODEL_KEY, VECTORS_KEY, TOOL_SECRET = (
    f"canary{number}-{word}-7c1f"
    for number, word in enumerate(("sasl-password", "model-key", "embeddings-key", "tool-secret"))
)
VALUES = (SASL_PASSWORD, MODEL_KEY, VECTORS_KEY, TOOL_SECRET)
ENVIRON = {
    "HOLDFAST_KAFKA_SASL_PASSWORD": SASL_PASSWORD,
    "HOLDFAST_LLM_KEY": MODEL_KEY,
    "HOLDFAST_EMBEDDINGS_KEY": VECTORS_KEY,
}
START_SECONDS_MAX = 40.0
BROKEN_SECONDS = 3.0
"""How long a process tries in vain, so that it has something to log."""


def secret_fields(model):
    """Every field of *model*'s sections that is named like a secret."""
    for variable, (section, field) in variable_names(model).items():
        words = field.split("_")
        if field not in NO_SECRETS and words[-1] not in {"seconds", "max"} and any(w in words for w in SECRET_WORDS):
            yield variable, model.model_fields[section].annotation.model_fields[field].annotation


@pytest.mark.parametrize("model", EVERY, ids=lambda model: model.__name__)
def test_every_setting_that_is_named_like_a_secret_is_typed_as_one(model):
    found = dict(secret_fields(model))
    assert "HOLDFAST_KAFKA_SASL_PASSWORD" in found
    assert {variable: kind for variable, kind in found.items() if kind is not SecretStr} == {}


@pytest.mark.parametrize("model", EVERY, ids=lambda model: model.__name__)
def test_settings_show_no_secret_however_they_are_shown(model):
    settings = read_settings(model, ENVIRON)
    assert settings.kafka.sasl_password.get_secret_value() == SASL_PASSWORD
    shown = (repr(settings), str(settings), f"{settings.model_dump()}", settings.model_dump_json())
    assert not [value for value in VALUES for text in shown if value in text]


@pytest.mark.parametrize(
    "environ",
    [
        {"HOLDFAST_LLM_KEY": f"{MODEL_KEY} with a blank"},
        {"HOLDFAST_EMBEDDINGS_KEY": f"{VECTORS_KEY}\n2"},
        {"HOLDFAST_KAFKA_SASL_PASWORD": SASL_PASSWORD},
        {"HOLDFAST_LLM_URL": f"https://user:{MODEL_KEY}@host/v1"},
        {"HOLDFAST_LLM_TOTAL_TIMEOUT_SECONDS": MODEL_KEY},
        {"HOLDFAST_LLM_KEY_FILE": "/nowhere/at/all", "HOLDFAST_LLM_KEY": MODEL_KEY},
    ],
    ids=lambda environ: next(iter(environ)),
)
def test_a_setting_that_is_refused_is_not_quoted(environ):
    with pytest.raises(Fatal) as refused:
        read_settings(MatcherSettings, environ)
    assert not [value for value in VALUES if value in str(refused.value)]


LOGGING = """
from services.reasoner.settings import ReasonerSettings
from shared.settings import read_settings
from shared.telemetry import logging

environ = {environ!r}
key = environ["HOLDFAST_LLM_KEY"]
settings = read_settings(ReasonerSettings, environ)
logging.configure("reasoner", level="debug", format={form!r})
log = structlog.get_logger("test")
log.debug("settings", settings=settings, sasl_password=key, headers={{"Authorization": key}})
try:
    raise RuntimeError(f"cannot start with {{settings}}")
except RuntimeError:
    log.exception("failed", url=f"https://user:{{key}}@host", sent=f"Bearer {{key}}")
raise RuntimeError(f"uncaught, with {{settings}}")
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_log_line_shows_no_secret_under_its_name_or_in_an_exception(form):
    """In a process of its own, as logging is set up once; its last line is of an exception that nobody caught."""
    program = LOGGING.format(environ=ENVIRON, form=form)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert "uncaught exception" in done.stderr
    assert not [value for value in VALUES if value in done.stderr + done.stdout]


@pytest.fixture
def secret_environ(tmp_path):
    """Secrets as a deployment gives them: two from files, one as a value, one in the tools' directory."""
    files = {}
    for name, value in ENVIRON.items():
        file = tmp_path / name.lower()
        file.write_text(value)
        files[f"{name}_FILE"] = str(file)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "desk").write_text(TOOL_SECRET)
    del files["HOLDFAST_LLM_KEY_FILE"]
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        **files,
        "HOLDFAST_LLM_KEY": MODEL_KEY,
        "HOLDFAST_LLM_URL": f"http://127.0.0.1:{free_port_base()}/v1",
        "HOLDFAST_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port_base()}",
        "HOLDFAST_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "HOLDFAST_KAFKA_SASL_USERNAME": "somebody",
        "HOLDFAST_KAFKA_REQUEST_TIMEOUT_SECONDS": "1",
    }


def got(url):
    """What *url* answers, whatever the status; empty where nobody does."""
    try:
        return httpx.get(url, timeout=5).text
    except httpx.TransportError:
        return ""


@pytest.mark.parametrize("level", ["info", "debug"])
@pytest.mark.parametrize("service", ["conversations", "reasoner"])
def test_a_process_that_fails_in_every_way_tells_no_secret(service, level, secret_environ, tmp_path):
    """There is neither a broker nor a model: what is logged about that, and what is scraped, is looked through."""
    port = free_port_base()
    environ = secret_environ | {"HOLDFAST_TELEMETRY_PORT": str(port), "HOLDFAST_TELEMETRY_LOG_LEVEL": level}
    if service == "reasoner":
        environ["HOLDFAST_OUTGOING_SECRETS_DIRECTORY"] = str(tmp_path / "tools")
    log = tmp_path / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", f"services.{service}"], env=environ, cwd=tmp_path, stdout=out, stderr=out
        )
        try:
            until = time.monotonic() + START_SECONDS_MAX
            while not (metrics := got(f"http://127.0.0.1:{port}/metrics")) and time.monotonic() < until:
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
            time.sleep(BROKEN_SECONDS)
            scraped = [metrics, *[got(f"http://127.0.0.1:{port}/{path}") for path in ("metrics", "healthz", "readyz")]]
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
        finally:
            process.kill()
            process.wait()
    written = log.read_text()
    assert "Connection refused" in written, written
    assert all(json.loads(line)["service"] for line in written.splitlines())
    assert not [value for value in VALUES for text in (written, *scraped) if value in text]


@pytest.mark.parametrize(
    "words",
    [["topics", "diff"], ["say", "hello", "--tenant", "acme", "--agent", "desk"], ["dlq", "list"], ["--help"]],
    ids=lambda words: words[0],
)
def test_a_command_that_fails_tells_no_secret(words, secret_environ, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "services.operator", *words],
        env=secret_environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout + done.stderr
    assert not [value for value in VALUES if value in done.stdout + done.stderr]
