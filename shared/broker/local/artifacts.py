"""
The jars of Apache Kafka, resolved by Maven into a cache folder: `org.apache.kafka:kafka_2.13` and what it needs at run
time, 46 jars, 43 MB (4.4.0).
"""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from shared.errors import Fatal

DEFAULT_VERSION = "4.4.0"
DEFAULT_CACHE = Path("~/.cache/holdfast/kafka")
MAVEN_SECONDS_MAX = 600.0
"""How long Maven may take on a slow line."""

_DEPENDENCY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
_LOG4J_VERSION = "2.24.3"
_MANIFEST = "jars.json"
_OUTPUT_LINES = 15

_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>holdfast</groupId>
  <artifactId>local-kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{version}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>{log4j_version}</version>
    </dependency>
  </dependencies>
</project>
"""


def jars(version: str = DEFAULT_VERSION, cache: Path = DEFAULT_CACHE) -> Path:
    """
    The folder with the jars of Kafka *version*, laid out under *cache* if it is not there whole.

    Maven checks every file against its published checksum (`-C`). The folder appears by a rename, so it is never half
    there; a later loss of a jar is noticed by the manifest of names and sizes.

    Raises:
        Fatal: Maven is missing, or could not resolve the artifacts; the message holds the end of what it said.

    """
    home = cache.expanduser() / version
    if _whole(home):
        return home
    maven = shutil.which("mvn")
    if maven is None:
        raise Fatal(
            f"Apache Kafka {version} is not in {home} and Maven (`mvn`) is not on the PATH to fetch it; "
            "install Maven, or use the embedded broker"
        )
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{version}-", dir=home.parent) as work:
        folder = Path(work) / "lib"
        _resolve(maven, version, Path(work), folder)
        sizes = {jar.name: jar.stat().st_size for jar in folder.glob("*.jar")}
        (folder / _MANIFEST).write_text(json.dumps(sizes, indent=1, sort_keys=True), encoding="utf-8")
        shutil.rmtree(home, ignore_errors=True)
        try:
            folder.replace(home)
        except OSError:
            if not _whole(home):  # another process was quicker, else it is a real error
                raise
    return home


def _whole(home: Path) -> bool:
    try:
        sizes: dict[str, int] = json.loads((home / _MANIFEST).read_text(encoding="utf-8"))
        return bool(sizes) and all((home / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


def _resolve(maven: str, version: str, work: Path, folder: Path) -> None:
    pom = work / "pom.xml"
    pom.write_text(_POM.format(version=version, log4j_version=_LOG4J_VERSION), encoding="utf-8")
    command = [
        maven,
        "--quiet",
        "--batch-mode",
        "--strict-checksums",
        "--file",
        str(pom),
        f"{_DEPENDENCY_PLUGIN}:copy-dependencies",
        "-DincludeScope=runtime",
        f"-DoutputDirectory={folder}",
    ]
    try:
        done = subprocess.run(  # noqa: S603 - Maven, by its full path
            command, capture_output=True, text=True, timeout=MAVEN_SECONDS_MAX, check=False
        )
    except subprocess.TimeoutExpired:
        raise Fatal(
            f"Maven did not bring Apache Kafka {version} within {MAVEN_SECONDS_MAX:g} s; "
            "check the network and the mirrors in ~/.m2/settings.xml, then try again"
        ) from None
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[:_OUTPUT_LINES])
        raise Fatal(
            f"Maven could not resolve Apache Kafka {version}. Does that version exist, is the network there, "
            f"is the mirror in ~/.m2/settings.xml right? Maven said:\n{said}"
        )
