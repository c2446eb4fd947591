"""Settings: defaults, sources and their order, secrets, and how faults are told."""

from __future__ import annotations

import pickle
from datetime import timedelta

import pytest
from pydantic import ValidationError

from aurora.kernel.errors import SettingsInvalid
from aurora.settings import Environment, Settings, load_settings, settings_with_origin

KEY = "k" * 32
PASSWORD = "hunter2-correct-horse"


@pytest.fixture
def load(tmp_path):
    """Load settings from an empty directory and the given environment, never those of this machine."""

    def load(toml: str | None = None, overrides: dict | None = None, **environ: str) -> Settings:
        if toml is not None:
            (tmp_path / "aurora.toml").write_text(toml, encoding="utf-8")
        return load_settings(environ=environ, directory=tmp_path, **(overrides or {}))

    return load


class TestDefaults:
    def test_nothing_needs_to_be_set(self, load) -> None:
        settings = load()

        assert settings.environment is Environment.DEVELOPMENT
        assert settings.ingest.dedup_window == timedelta(hours=24)
        assert settings.content.trusted_plugins == ()

    def test_the_database_is_a_file_in_the_users_data_directory(self, load, monkeypatch) -> None:
        monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")

        assert load().database.dsn.startswith("sqlite+aiosqlite:///")
        assert load().database.dsn.endswith("/aurora/aurora.db")

    def test_settings_cannot_be_changed(self, load) -> None:
        with pytest.raises(ValidationError, match="frozen"):
            load().triage.jobs = 9


class TestSources:
    def test_the_environment_overrides_a_default(self, load) -> None:
        assert load(AURORA_TRIAGE__JOBS="9").triage.jobs == 9

    def test_the_environment_overrides_the_file_and_an_argument_overrides_both(self, load) -> None:
        toml = "[triage]\njobs = 2"

        assert load(toml).triage.jobs == 2
        assert load(toml, AURORA_TRIAGE__JOBS="3").triage.jobs == 3
        assert load(toml, {"triage": {"jobs": 4}}, AURORA_TRIAGE__JOBS="3").triage.jobs == 4
        assert load(toml, {"triage__jobs": 5}, AURORA_TRIAGE__JOBS="3").triage.jobs == 5

    def test_the_file_may_lie_elsewhere(self, load, tmp_path) -> None:
        (tmp_path / "other.toml").write_text("[triage]\njobs = 7", encoding="utf-8")

        assert load(AURORA_CONFIG=str(tmp_path / "other.toml")).triage.jobs == 7

    def test_a_named_file_that_is_missing_is_a_fault(self, load) -> None:
        with pytest.raises(SettingsInvalid, match=r"AURORA_CONFIG: .*gone\.toml does not exist"):
            load(AURORA_CONFIG="gone.toml")

    def test_a_file_that_is_no_toml_is_a_fault_with_its_place(self, load) -> None:
        with pytest.raises(SettingsInvalid, match=r"aurora\.toml: is not TOML: .*line 2"):
            load("[triage]\njobs = = 1")

    def test_an_empty_variable_counts_as_not_set(self, load) -> None:
        assert load(AURORA_TRIAGE__JOBS="").triage.jobs == load().triage.jobs

    @pytest.mark.parametrize("written", ["acme,beta", " acme , beta ", '["acme", "beta"]'])
    def test_a_list_may_be_written_in_the_environment(self, load, written) -> None:
        assert load(AURORA_CONTENT__TRUSTED_PLUGINS=written).content.trusted_plugins == ("acme", "beta")

    @pytest.mark.parametrize(
        ("written", "meant"),
        [("250ms", timedelta(milliseconds=250)), ("90s", timedelta(seconds=90)), ("7 d", timedelta(days=7))],
    )
    def test_a_duration_is_written_with_its_unit(self, load, written, meant) -> None:
        assert load(AURORA_INGEST__DEDUP_WINDOW=written).ingest.dedup_window == meant

    @pytest.mark.parametrize("written", ["24", "0h", "soon", "-1h", "9999999999d"])
    def test_a_duration_without_a_sensible_length_is_refused(self, load, written) -> None:
        with pytest.raises(SettingsInvalid, match="ingest.dedup_window"):
            load(AURORA_INGEST__DEDUP_WINDOW=written)

    @pytest.mark.parametrize("written", ["local", "nats", "kafka://host"])
    def test_a_broker_is_a_url_of_a_known_kind(self, load, written) -> None:
        with pytest.raises(SettingsInvalid, match="must begin with one of local://"):
            load(AURORA_DISPATCH__BROKER=written)

    def test_each_value_knows_its_origin(self, tmp_path) -> None:
        (tmp_path / "aurora.toml").write_text("[triage]\njobs = 2", encoding="utf-8")
        (tmp_path / "key").write_text(KEY, encoding="utf-8")
        environ = {
            "AURORA_OBSERVABILITY__LOG_LEVEL": "debug",
            "AURORA_AUTH__JWT_SECRET_KEY_FILE": str(tmp_path / "key"),
        }

        _, origin = settings_with_origin(environ=environ, directory=tmp_path, environment="production")

        assert origin["triage.jobs"] == str(tmp_path / "aurora.toml")
        assert origin["observability.log_level"] == "AURORA_OBSERVABILITY__LOG_LEVEL"
        assert origin["auth.jwt_secret_key"] == f"file {tmp_path / 'key'}"
        assert origin["environment"] == "argument"
        assert origin["ingest.dedup_window"] == "default"


class TestJwtSecretKey:
    def test_it_is_handed_out_as_text(self, load) -> None:
        assert load(AURORA_AUTH__JWT_SECRET_KEY=KEY).jwt_secret_key == KEY

    def test_fewer_than_32_characters_are_refused(self, load) -> None:
        with pytest.raises(SettingsInvalid, match="at least 32 characters, has 31"):
            load(AURORA_AUTH__JWT_SECRET_KEY="k" * 31)

    def test_production_does_not_start_without_it(self, load) -> None:
        with pytest.raises(SettingsInvalid, match="jwt_secret_key is required in production"):
            load(AURORA_ENVIRONMENT="production")

        assert load(AURORA_ENVIRONMENT="production", AURORA_AUTH__JWT_SECRET_KEY=KEY).jwt_secret_key == KEY

    def test_development_starts_without_it_and_says_so_when_it_is_needed(self, load) -> None:
        settings = load()

        with pytest.raises(SettingsInvalid, match="AURORA_AUTH__JWT_SECRET_KEY"):
            _ = settings.jwt_secret_key


class TestSecretsFromFiles:
    def test_a_secret_may_lie_in_a_file(self, load, tmp_path) -> None:
        (tmp_path / "key").write_text(f"{KEY}\n", encoding="utf-8")

        assert load(AURORA_AUTH__JWT_SECRET_KEY_FILE=str(tmp_path / "key")).jwt_secret_key == KEY

    def test_only_secrets_may(self, load) -> None:
        with pytest.raises(SettingsInvalid, match="AURORA_TRIAGE__JOBS_FILE: no such setting"):
            load(AURORA_TRIAGE__JOBS_FILE="/run/jobs")

    def test_a_file_that_cannot_be_read_is_a_fault(self, load) -> None:
        with pytest.raises(SettingsInvalid, match="AURORA_DATABASE__URL_FILE: its file cannot be read: No such file"):
            load(AURORA_DATABASE__URL_FILE="/nowhere/url")

    def test_value_and_file_together_are_a_fault(self, load, tmp_path) -> None:
        (tmp_path / "key").write_text(KEY, encoding="utf-8")

        with pytest.raises(SettingsInvalid, match="keep one of the two"):
            load(AURORA_AUTH__JWT_SECRET_KEY=KEY, AURORA_AUTH__JWT_SECRET_KEY_FILE=str(tmp_path / "key"))
        with pytest.raises(SettingsInvalid, match="keep one of the two"):
            load(f"[auth]\njwt_secret_key_file = '{tmp_path / 'key'}'\njwt_secret_key = '{KEY}'")

    def test_a_file_of_the_environment_overrides_the_value_of_the_config(self, load, tmp_path) -> None:
        (tmp_path / "key").write_text("f" * 32, encoding="utf-8")

        settings = load(f"[auth]\njwt_secret_key = '{KEY}'", AURORA_AUTH__JWT_SECRET_KEY_FILE=str(tmp_path / "key"))

        assert settings.jwt_secret_key == "f" * 32


class TestFaults:
    def test_an_unknown_variable_is_refused_with_a_suggestion(self, load) -> None:
        with pytest.raises(SettingsInvalid, match="AURORA_DATABASE__ULR: .*did you mean AURORA_DATABASE__URL?"):
            load(AURORA_DATABASE__ULR="sqlite://")

    def test_an_unknown_key_of_the_file_is_refused_with_a_suggestion(self, load) -> None:
        with pytest.raises(SettingsInvalid, match=r"triage\.job \(.*aurora\.toml\): .*did you mean triage\.jobs\?"):
            load("[triage]\njob = 1")
        with pytest.raises(SettingsInvalid, match=r"databse .*did you mean database\?"):
            load("[databse]\nurl = 'sqlite://'")

    def test_a_group_is_no_value(self, load) -> None:
        with pytest.raises(SettingsInvalid, match="triage .*is a group"):
            load("triage = 3")

    def test_all_faults_are_listed_together(self, load) -> None:
        with pytest.raises(SettingsInvalid) as caught:
            load(
                "[triage]\njobs = 0\n[ingest]\nwindow = 3",
                AURORA_ENVIRONMENT="production",
                AURORA_OBSERVABILITY__LOG_LEVEL="loud",
                AURORA_DATABASE__ULR="x",
            )

        assert caught.value.context == {"faults": 5}
        for name in ("triage.jobs", "ingest.window", "jwt_secret_key", "observability.log_level", "DATABASE__ULR"):
            assert name in str(caught.value)

    def test_a_wrong_value_is_quoted_and_cleaned(self, load) -> None:
        with pytest.raises(SettingsInvalid, match=r"AURORA_TRIAGE__JOBS.*«\\u001b\[31mmany»"):
            load(AURORA_TRIAGE__JOBS="\x1b[31mmany")

    @pytest.mark.parametrize(
        "environ",
        [
            {"AURORA_DATABASE__URL": f"mysql://aurora:{PASSWORD}@db/aurora"},
            {"AURORA_DATABASE__URL": f"postgresql://aurora:{PASSWORD}/2@db/aurora"},
            {"AURORA_DATABASE__URL": PASSWORD},
            {"AURORA_AUTH__JWT_SECRET_KEY": PASSWORD},
        ],
    )
    def test_no_secret_is_told(self, load, environ) -> None:
        with pytest.raises(SettingsInvalid) as caught:
            load(**environ)

        assert PASSWORD not in f"{caught.value} {caught.value!r} {caught.value.context}"
        assert caught.value.__context__ is None, "the error of pydantic holds the values"


class TestDatabaseUrl:
    @pytest.mark.parametrize(
        ("given", "used"),
        [
            ("sqlite:///aurora.db", "sqlite+aiosqlite:///aurora.db"),
            ("sqlite:////srv/aurora.db", "sqlite+aiosqlite:////srv/aurora.db"),
            ("sqlite://", "sqlite+aiosqlite://"),
            ("sqlite+aiosqlite:///aurora.db", "sqlite+aiosqlite:///aurora.db"),
            ("postgresql://aurora@db/aurora", "postgresql+asyncpg://aurora@db/aurora"),
            ("postgres://aurora@db:5432/aurora", "postgresql+asyncpg://aurora@db:5432/aurora"),
            ("postgresql://postgres:@/postgres?host=/run/pg", "postgresql+asyncpg://postgres:@/postgres?host=/run/pg"),
        ],
    )
    def test_the_async_driver_is_added(self, load, given, used) -> None:
        assert load(overrides={"database": {"url": given}}).database.dsn == used

    @pytest.mark.parametrize("given", ["aurora.db", "mysql://db/aurora", "sqlite://aurora.db", "postgresql://db:x/a"])
    def test_another_url_is_refused(self, load, given) -> None:
        with pytest.raises(SettingsInvalid, match="database.url"):
            load(AURORA_DATABASE__URL=given)

    def test_the_password_appears_nowhere_but_in_the_dsn(self, load) -> None:
        settings = load(AURORA_DATABASE__URL=f"postgresql://aurora:{PASSWORD}@db/aurora?sslpassword={PASSWORD}")

        assert settings.database.dsn.count(PASSWORD) == 2
        assert settings.database.shown_url == "postgresql+asyncpg://aurora:***@db/aurora?sslpassword=***"
        assert PASSWORD not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"

    def test_settings_survive_pickling(self, load) -> None:
        settings = load(AURORA_DATABASE__URL="sqlite:///other.db")

        assert pickle.loads(pickle.dumps(settings)) == settings
