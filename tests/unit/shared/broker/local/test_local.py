"""What LocalKafka does before, and without, starting Java."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from shared.broker.local import LocalKafka, artifacts, cluster, free_port_base
from shared.broker.local.config import server_properties, write_config
from shared.broker.local.node import Node
from shared.broker.local.ports import is_free
from shared.errors import Fatal

VERSION = "4.4.0"


def executable(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """A PATH that holds only what a test puts there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return folder


FAKE_MAVEN = """
for argument; do case $argument in -DoutputDirectory=*) out=${argument#-DoutputDirectory=};; esac; done
/bin/mkdir -p "$out"; echo jar > "$out/kafka.jar"; echo called >> "$0.calls"
"""


def laid_out(cache: Path) -> Path:
    home = cache / VERSION
    home.mkdir(parents=True)
    (home / "kafka.jar").write_text("jar\n")
    (home / "jars.json").write_text(json.dumps({"kafka.jar": 4}))
    return home


# -- artifacts


def test_the_jars_are_laid_out_once_and_used_again(tools, tmp_path):
    executable(tools / "mvn", FAKE_MAVEN)
    home = artifacts.jars(VERSION, tmp_path / "cache")
    assert artifacts.jars(VERSION, tmp_path / "cache") == home == tmp_path / "cache" / VERSION
    assert (tools / "mvn.calls").read_text() == "called\n"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [VERSION]


def test_a_lost_jar_is_fetched_anew(tools, tmp_path):
    executable(tools / "mvn", FAKE_MAVEN)
    home = laid_out(tmp_path / "cache")
    (home / "kafka.jar").write_text("cut")
    artifacts.jars(VERSION, tmp_path / "cache")
    assert (home / "kafka.jar").read_text() == "jar\n"


def test_without_maven_the_cache_is_enough(tools, tmp_path):
    laid_out(tmp_path / "cache")
    assert artifacts.jars(VERSION, tmp_path / "cache").name == VERSION


def test_without_maven_and_cache_the_error_says_what_to_do(tools, tmp_path):
    with pytest.raises(Fatal, match=r"Maven.*install Maven"):
        artifacts.jars(VERSION, tmp_path / "cache")


def test_what_maven_said_is_told(tools, tmp_path):
    executable(tools / "mvn", "echo 'Could not transfer artifact: connection refused'; exit 1")
    with pytest.raises(Fatal, match=r"(?s)network.*settings\.xml.*connection refused"):
        artifacts.jars(VERSION, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


# -- configuration


def test_three_nodes_replicate_and_one_does_not(tmp_path):
    def of(nodes):
        return server_properties(1, nodes=nodes, port_base=20_000, folder=tmp_path, overrides={})

    one, three = of(1), of(3)
    names = ("default.replication.factor", "min.insync.replicas", "transaction.state.log.min.isr")
    assert [one[name] for name in names] == ["1", "1", "1"]
    assert [three[name] for name in names] == ["3", "2", "2"]
    assert three["controller.quorum.voters"] == "1@127.0.0.1:20001,2@127.0.0.1:20003,3@127.0.0.1:20005"


def test_overrides_come_last(tmp_path):
    properties = server_properties(
        1, nodes=1, port_base=20_000, folder=tmp_path, overrides={"auto.create.topics.enable": "true", "x": "y"}
    )
    write_config(tmp_path, properties)
    lines = (tmp_path / "server.properties").read_text().splitlines()
    assert "auto.create.topics.enable=true" in lines
    assert "auto.create.topics.enable=false" not in lines
    assert lines[-1] == "x=y"


def test_only_one_or_three_nodes_are_possible(tmp_path):
    with pytest.raises(Fatal, match="1 or 3"):
        LocalKafka(nodes=2, data=tmp_path)


# -- ports


def test_free_ports_are_adjacent_and_free():
    base = free_port_base(3)
    assert all(is_free(base + offset) for offset in range(6))


def test_a_taken_port_is_named_before_anything_starts(tools, tmp_path):
    executable(tools / "java", "exit 1")
    laid_out(tmp_path / "cache")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        kafka = LocalKafka(data=tmp_path / "data", cache=tmp_path / "cache", port_base=port)
        with pytest.raises(Fatal, match=f"port {port}.*taken"):
            kafka.up()
    assert not (tmp_path / "data" / "node-1").exists()


# -- the process


def test_without_java_the_error_says_so(tools, tmp_path):
    laid_out(tmp_path / "cache")
    with pytest.raises(Fatal, match="Java 17"):
        LocalKafka(data=tmp_path / "data", cache=tmp_path / "cache", port_base=free_port_base()).up()


def test_a_refused_format_tells_what_the_tool_said(tools, tmp_path):
    executable(tools / "java", "echo 'java.lang.UnsupportedClassVersionError: major 61' >&2; exit 1")
    laid_out(tmp_path / "cache")
    with pytest.raises(Fatal, match=r"(?s)formatted.*needs Java 17.*major 61"):
        LocalKafka(data=tmp_path / "data", cache=tmp_path / "cache", port_base=free_port_base()).up()


def test_a_node_that_dies_at_its_start_shows_its_log(tools, tmp_path):
    executable(tools / "java", 'case "$*" in *StorageTool*) exit 0;; esac; echo "no space left"; exit 3')
    laid_out(tmp_path / "cache")
    kafka = LocalKafka(data=tmp_path / "data", cache=tmp_path / "cache", port_base=free_port_base())
    with pytest.raises(Fatal, match=r"(?s)node 1.*died.*no space left"):
        kafka.up()
    assert [status.state for status in kafka.status()] == ["stopped"]


def test_a_pid_that_was_given_to_another_process_is_left_alone(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        started = psutil.Process(other.pid).create_time()
        (tmp_path / "pid").write_text(json.dumps({"pid": other.pid, "started": started - 100}))
        node = Node(1, tmp_path, heap_mib=64)
        assert node.state == "stopped"
        assert not node.send(signal.SIGKILL)
        assert other.poll() is None
        (tmp_path / "pid").write_text(json.dumps({"pid": other.pid, "started": started}))
        assert node.pid == other.pid
        assert node.send(signal.SIGKILL)
        other.wait()
        assert node.wait_gone(1)
    assert not (tmp_path / "pid").exists()


@pytest.mark.parametrize(
    "content", ["", "{}", "nonsense", pytest.param(json.dumps({"pid": os.getpid()}), id="no start")]
)
def test_a_damaged_pid_file_is_no_process(tmp_path, content):
    (tmp_path / "pid").write_text(content)
    assert Node(1, tmp_path, heap_mib=64).state == "stopped"


def test_another_number_of_nodes_than_was_laid_out_is_refused(tools, tmp_path):
    executable(tools / "java", "exit 1")
    laid_out(tmp_path / "cache")
    options = {"data": tmp_path / "data", "cache": tmp_path / "cache"}
    with pytest.raises(Fatal, match="formatted"):
        LocalKafka(nodes=1, port_base=free_port_base(1), **options).up()
    with pytest.raises(Fatal, match="1 nodes, not 3"):
        LocalKafka(nodes=3, port_base=free_port_base(3), **options).up()
    found = LocalKafka.found(tmp_path / "data")
    assert found is not None
    assert len(found.status()) == 1
    found.down(wipe=True)
    assert LocalKafka.found(tmp_path / "data") is None
    found.down()


def test_a_listener_over_tls_asks_for_certificates_and_comes_after_all_other_ports(tmp_path):
    properties = server_properties(2, nodes=3, port_base=21_000, folder=tmp_path, overrides={}, tls=True)

    assert properties["listeners"].split(",")[1:] == ["SSL://127.0.0.1:21007", "CONTROLLER://127.0.0.1:21003"]
    assert properties["advertised.listeners"] == "PLAINTEXT://127.0.0.1:21002,SSL://127.0.0.1:21007"
    assert properties["ssl.client.auth"] == "required"
    assert properties["ssl.keystore.location"] == str(tmp_path / "keystore.pem")
    kafka = LocalKafka(nodes=3, data=tmp_path, port_base=21_000, tls=True)
    assert kafka.tls_servers == "127.0.0.1:21006,127.0.0.1:21007,127.0.0.1:21008"


def test_a_cluster_s_id_never_looks_like_an_option(monkeypatch):
    drawn = iter([b"\xfb" + 15 * b"x", 16 * b"x"])
    monkeypatch.setattr(cluster, "uuid", SimpleNamespace(uuid4=lambda: SimpleNamespace(bytes=next(drawn))))

    assert cluster._cluster_id() == "eHh4eHh4eHh4eHh4eHh4eA"


# -- a process that outlives its starter


STARTER = """
import gc, sys
from pathlib import Path
from shared.broker.local.node import Node
node = Node(1, Path(sys.argv[1]), heap_mib=64)
node.launch(Path("jars"))
print(node.pid)
del node
gc.collect()
"""


def test_a_node_that_is_left_running_is_no_oversight(tools, tmp_path):
    executable(tools / "java", "exec /bin/sleep 60")
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", STARTER, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[5],
    )
    node = Node(1, tmp_path, heap_mib=64)
    try:
        assert done.stderr == ""
        assert node.state == "running"
        assert node.pid == int(done.stdout)
        assert os.getsid(node.pid) == node.pid
    finally:
        node.send(signal.SIGKILL)
    assert node.wait_gone(10.0)


def test_a_node_that_ends_is_looked_after(tools, tmp_path):
    executable(tools / "java", "echo cannot start; exit 1")
    node = Node(1, tmp_path, heap_mib=64)
    node.launch(tmp_path / "jars")
    assert node.wait_gone(10.0)
    assert "cannot start" in node.log_tail()
