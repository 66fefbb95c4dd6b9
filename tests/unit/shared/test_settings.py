import pytest
from pydantic import Field, SecretStr

from shared.errors import Fatal
from shared.settings import SECTIONS, ProcessSettings, Section, read_settings, variable_names


class Kafka(Section):
    bootstrap_servers: str = "127.0.0.1:9092"
    session_timeout_seconds: float = Field(10.0, gt=0)
    password: SecretStr = SecretStr("")


class Stage(Section):
    in_flight_max: int = 100
    paused: bool = False
    """Whether it stands still."""


class Settings(ProcessSettings):
    kafka: Kafka = Kafka()
    stage: Stage = Stage()


def read(**environ):
    return read_settings(Settings, environ)


def complaint(**environ):
    with pytest.raises(Fatal) as caught:
        read(**environ)
    return str(caught.value)


def test_without_an_environment_every_default_holds():
    assert read() == Settings()


def test_values_are_read_into_their_types():
    settings = read(
        HOLDFAST_KAFKA_BOOTSTRAP_SERVERS="broker:9092",
        HOLDFAST_KAFKA_SESSION_TIMEOUT_SECONDS="2.5",
        HOLDFAST_STAGE_IN_FLIGHT_MAX="7",
        HOLDFAST_STAGE_PAUSED="true",
    )

    assert settings.kafka.bootstrap_servers == "broker:9092"
    assert settings.kafka.session_timeout_seconds == 2.5
    assert (settings.stage.in_flight_max, settings.stage.paused) == (7, True)


def test_a_misspelt_name_is_refused_with_the_nearest_known_one():
    told = complaint(HOLDFAST_KAFKA_BOOTSTRAP_SERVER="broker:9092")

    assert "HOLDFAST_KAFKA_BOOTSTRAP_SERVER;" in told
    assert "did you mean HOLDFAST_KAFKA_BOOTSTRAP_SERVERS?" in told


@pytest.mark.parametrize(
    "name", ["HOLDFAST_KAFAK_BOOTSTRAP_SERVERS", "HOLDFAST_NOWHERE_AT_ALL", "HOLDFAST_", "HOLDFAST_KAFKA"]
)
def test_a_section_that_nobody_has_is_refused(name):
    assert name in complaint(**{name: "x"})


def test_the_sections_of_sibling_processes_are_left_to_them():
    assert "rehearsal" in SECTIONS

    assert read(HOLDFAST_REHEARSAL_PORT="1", HOLDFAST_MATCHER_ANYTHING="2") == Settings()


def test_variables_of_others_are_none_of_its_business():
    assert read(PATH="/bin", KAFKA_BOOTSTRAP_SERVERS="x", holdfast_kafka="y") == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOLDFAST_STAGE_IN_FLIGHT_MAX", "many"),
        ("HOLDFAST_STAGE_IN_FLIGHT_MAX", ""),
        ("HOLDFAST_KAFKA_SESSION_TIMEOUT_SECONDS", "0"),
        ("HOLDFAST_STAGE_PAUSED", "perhaps"),
    ],
)
def test_a_value_that_is_not_of_its_type_names_its_variable(name, value):
    assert name in complaint(**{name: value})


def test_a_refused_secret_is_not_repeated(tmp_path):
    told = complaint(HOLDFAST_STAGE_IN_FLIGHT_MAX="hunter2")

    assert "hunter2" not in told


def test_a_value_can_come_from_a_file(tmp_path):
    file = tmp_path / "password"
    file.write_text("hunter2\n")

    settings = read(HOLDFAST_KAFKA_PASSWORD_FILE=str(file))

    assert settings.kafka.password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(settings)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    told = complaint(HOLDFAST_KAFKA_PASSWORD_FILE=str(tmp_path / "nothing"))

    assert "HOLDFAST_KAFKA_PASSWORD_FILE" in told
    assert "nothing" in told


def test_a_variable_given_twice_is_refused(tmp_path):
    """Which of the two counts would depend on their order."""
    file = tmp_path / "password"
    file.write_text("one")

    told = complaint(HOLDFAST_STAGE_PAUSED="true", HOLDFAST_STAGE_PAUSED_FILE=str(file))

    assert "HOLDFAST_STAGE_PAUSED_FILE is given twice" in told


def test_a_file_that_is_no_text_is_refused(tmp_path):
    file = tmp_path / "password"
    file.write_bytes(b"\xff\xfe")

    assert "HOLDFAST_KAFKA_PASSWORD_FILE" in complaint(HOLDFAST_KAFKA_PASSWORD_FILE=str(file))


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        read().stage.in_flight_max = 3


def test_every_variable_is_listed():
    assert variable_names(Settings)["HOLDFAST_STAGE_PAUSED"] == ("stage", "paused")
    assert len(variable_names(Settings)) == 5


def test_the_docstring_below_a_field_is_its_meaning():
    assert Stage.model_fields["paused"].description == "Whether it stands still."
