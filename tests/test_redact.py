"""Secrets stay out of everything that is printed or stored; the rest does not change."""

import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st

from src.cli.compose import compose_config
from src.redact import HIDDEN, hide, hide_password, is_secret_name, redact, redact_tree
from src.schema import as_tree, flatten

SECRET_NAMES = ["password", "DB_PASSWORD", "tags.db_passwd", "passphrase", "api_key", "tags.apikey", "github_token"]
SECRET_NAMES += ["AWS_SECRET_ACCESS_KEY", "private_key", "client_secret", "mlflow_credentials"]


@pytest.fixture(autouse=True)
def nothing_hidden_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.redact._secrets", set())


# --- addresses -----------------------------------------------------------------------------------------------------

USER_INFO = st.text("abcXYZ019-._~!$&()*+,;=:%@", min_size=1)  # what RFC 3986 allows before the @, and a stray @


@given(scheme=st.sampled_from(["https", "s3", "postgresqlite"]), user_info=USER_INFO)
def test_a_user_that_may_be_a_token_is_cut_out_of_an_address(scheme: str, user_info: str) -> None:
    said = redact(f"cannot reach '{scheme}://{user_info}@db.example.org:5432/runs', trying again")
    assert said == f"cannot reach '{scheme}://{HIDDEN}@db.example.org:5432/runs', trying again"


DATABASES = st.sampled_from(["postgresql", "postgres", "postgresql+psycopg", "mysql", "mysql+pymysql", "PostgreSQL"])
NAMES = st.text("abcXYZ019-._~!$&()*+,;=%@", min_size=1)


@given(scheme=DATABASES, user=NAMES)
def test_the_user_of_a_database_is_shown(scheme: str, user: str) -> None:
    address = f"{scheme}://{user}@db.example.org:5432/runs"
    assert redact(f"cannot reach '{address}'") == f"cannot reach '{address}'"


@given(scheme=DATABASES, user=NAMES, password=USER_INFO)
def test_the_password_of_a_database_is_hidden_and_its_user_is_not(scheme: str, user: str, password: str) -> None:
    said = redact(f"cannot reach '{scheme}://{user}:{password}@db.example.org:5432/runs'")
    assert said == f"cannot reach '{scheme}://{user}:{HIDDEN}@db.example.org:5432/runs'"


def test_every_address_in_a_text_is_cleaned() -> None:
    assert redact("from http://u:p@a/x to http://c:d@b/y") == f"from http://{HIDDEN}@a/x to http://{HIDDEN}@b/y"


def test_a_tracking_address_with_a_password_is_clean_once_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://ada:hunter2@mlflow.example.org")
    cleaned = redact_tree(as_tree(compose_config(["tracking=mlflow"])))
    assert isinstance(cleaned, dict)
    assert cleaned["tracking"]["uri"] == f"https://{HIDDEN}@mlflow.example.org"


@pytest.mark.parametrize("password", ["s3cret/pw", "open sesame", "a:b/c?d#e"])
def test_a_password_is_hidden_with_what_an_address_could_not_hold(password: str) -> None:
    address = f"postgresql://ada:{password}@db.example.org/runs"
    assert sqlalchemy.make_url(address).password == password
    hide_password(address)
    assert redact(f"{address} does not answer") == f"postgresql://ada:{HIDDEN}@db.example.org/runs does not answer"
    assert redact_tree({"hydra.sweeper.storage": address}) == {
        "hydra.sweeper.storage": f"postgresql://ada:{HIDDEN}@db.example.org/runs"
    }


def test_the_password_of_a_tracking_address_is_hidden_as_soon_as_it_is_composed() -> None:
    compose_config(["tracking.uri='postgresql://ada:tok/5150@db/runs'"])
    assert "5150" not in redact("the driver says: no such user (ada, tok/5150)")


# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["{}=hunter2", "{}: hunter2", "+{}='hunter 2'", '{} = "hunter 2"', "got {}=hunter2,"])
@pytest.mark.parametrize("name", SECRET_NAMES)
def test_the_value_of_a_secret_name_is_hidden_and_the_name_is_not(name: str, form: str) -> None:
    said = redact(form.format(name))
    assert name in said
    assert HIDDEN in said
    assert "hunter" not in said


@given(value=st.text(st.characters(categories=["L", "N", "S"], exclude_characters="*"), min_size=1))
def test_no_part_of_a_value_without_spaces_is_left_behind(value: str) -> None:
    assert redact(f"tags.password={value}") == f"tags.password={HIDDEN}"


@pytest.mark.parametrize("name", ["token.epochs", "password_file.size", "learning_rate", "passes", "keys", "author"])
def test_an_ordinary_name_is_not_taken_for_a_secret(name: str) -> None:
    assert not is_secret_name(name)


def test_no_setting_of_ours_is_taken_for_a_secret() -> None:
    assert [name for name in flatten(compose_config()) if is_secret_name(name)] == []


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize("value", ["hunter2", 1234, True, ["hunter2", "hunter3"]])
def test_a_tree_hides_values_of_any_type_under_a_secret_name(name: str, value: object) -> None:
    cleaned = redact_tree({"tags": {name: value}, "seed": 1})
    assert cleaned in ({"tags": {name: HIDDEN}, "seed": 1}, {"tags": {name: [HIDDEN, HIDDEN]}, "seed": 1})


def test_a_tree_keeps_what_is_not_secret_and_an_unset_secret() -> None:
    tree = {"password": None, "seed": 1, "conv": [{"filters": 6, "pool": None}], "uri": "sqlite:///mlflow.db"}
    assert redact_tree(tree) == tree


def test_a_tree_is_cleaned_as_a_copy_down_to_its_texts() -> None:
    tree = {"overrides": ["seed=1", "tags.password=hunter2"], "nested": [[{"uri": "http://u:p@h/"}]]}
    cleaned = redact_tree(tree)
    assert cleaned == {
        "overrides": ["seed=1", f"tags.password={HIDDEN}"],
        "nested": [[{"uri": f"http://{HIDDEN}@h/"}]],
    }
    assert tree["overrides"] == ["seed=1", "tags.password=hunter2"]


# --- values that are known to be secret ----------------------------------------------------------------------------

WORDS = st.text("abcdeAB=: ", min_size=4, max_size=8)


@given(secrets=st.lists(WORDS, min_size=1, max_size=4), around=st.lists(st.text("abcdeAB ", max_size=6), min_size=5))
def test_a_hidden_value_appears_nowhere(secrets: list[str], around: list[str]) -> None:
    for secret in secrets:
        hide(secret)
    said = redact("".join(part for pair in zip(around, secrets, strict=False) for part in pair))
    assert not [secret for secret in secrets if secret in said]


def test_a_hidden_value_that_contains_another_is_hidden_whole() -> None:
    hide("hunter")
    hide("hunter2-and-more")
    assert redact("it is hunter2-and-more") == f"it is {HIDDEN}"


@pytest.mark.parametrize("value", ["", "1", "abc"])
def test_a_very_short_value_is_not_hidden_for_it_would_blot_out_ordinary_text(value: str) -> None:
    hide(value)
    assert redact("1 of 10 epochs, abc") == "1 of 10 epochs, abc"


@pytest.mark.parametrize(
    "override",
    [
        "tracking.run_name=${oc.env:CONVLAB_TEST}",
        "tags.owner='${oc.env: CONVLAB_TEST}'",
        "tags.owner='run of ${oc.env:CONVLAB_TEST,nobody}'",
        "tags.owner='${oc.decode:${oc.env:CONVLAB_TEST}}'",
    ],
)
def test_a_value_from_the_environment_is_hidden(override: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVLAB_TEST", "hunter2")
    config = compose_config([override])
    assert "hunter2" in repr(config)
    assert "hunter2" not in redact(repr(config))
    assert "hunter2" not in str(redact_tree(as_tree(config)))


def test_a_folder_that_a_public_variable_names_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", "/mnt/pictures")
    assert redact(compose_config(["dataset=mnist"]).dataset.data_dir) == "/mnt/pictures"


SECRETS = [
    "{'password': 'hunter 2'}",
    '{"api_key": "hunter2"}',
    "tags={password: 'hunter 2', a: b}",
    "https://host/?token=hunter2&y=1",
    "http://ada:hun'ter2@host/",
    "https://host/a?b=1&password=hunter2",
    "--api-key=hunter2",
]


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_found_in_quotes_braces_and_addresses(text: str) -> None:
    said = redact(text)
    assert "hunter" not in said
    assert "ter2" not in said


def test_an_override_with_a_secret_name_is_hidden_to_its_end() -> None:
    assert "hunter" not in str(redact_tree(["tags.password=my hunter 2", "+tags.password=a,hunter"]))


@pytest.mark.parametrize("value", ['it\'s "hunter"', "back\\slash"])
def test_a_hidden_value_is_hidden_in_its_escaped_form_too(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.redact._secrets", set())
    hide(value)
    assert repr(value)[1:-1] not in redact(f"got {value!r}")


# --- everything else -----------------------------------------------------------------------------------------------


@given(text=st.text(st.characters(exclude_characters="=:@")))
def test_text_without_assignments_and_addresses_is_untouched(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "training.epochs=3 'model.conv.0.filters=8' tags={owner: ada}",
        "training.epochs: got 'abc', expected an integer",
        "sqlite:///mlflow.db, https://example.org/a/b@2x.png and http://127.0.0.1:5000",
        "write to ada@example.org: the token is in the mail",
    ],
)
def test_ordinary_sentences_are_untouched(text: str) -> None:
    assert redact(text) == text
