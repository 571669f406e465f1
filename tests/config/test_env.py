import pytest
from django.core.exceptions import ImproperlyConfigured

from config.env import Env


def env(**values):
    return Env(values)


def complaint(read):
    with pytest.raises(ImproperlyConfigured) as caught:
        read()
    return str(caught.value)


def test_an_empty_variable_is_not_set():
    assert not env(NAME="").has("NAME")
    assert env(NAME="").text("NAME", "default") == "default"


@pytest.mark.parametrize(
    ("value", "flag"), [("1", True), ("TRUE", True), ("on", True), ("0", False), ("no", False), ("", None)]
)
def test_a_flag(value, flag):
    assert env(NAME=value).flag("NAME", None) is flag


def test_a_flag_that_is_none():
    assert complaint(lambda: env(DEBUG="maybe").flag("DEBUG", False)) == "DEBUG is 'maybe'; expected 1 or 0."


@pytest.mark.parametrize(("value", "number"), [("9000", 9000), ("-1", -1), ("", 7)])
def test_a_whole_number(value, number):
    assert env(NAME=value).whole("NAME", 7, least=-1) == number


@pytest.mark.parametrize("value", ["0", "65536", "http", "80.5", "8_0", "٨٠", "-", "--1", " 1"])
def test_a_whole_number_that_is_none_or_out_of_bounds(value):
    text = complaint(lambda: env(PORT=value).whole("PORT", 8000, least=1, most=65535))
    assert text == f"PORT is {value!r}; expected a whole number, from 1 to 65535."


def test_a_whole_number_without_an_upper_bound():
    assert complaint(lambda: env(N="-1").whole("N", 0)) == "N is '-1'; expected a whole number, 0 or more."


@pytest.mark.parametrize(("value", "number"), [("1.5", 1.5), ("2", 2.0), ("", 1.2)])
def test_a_number(value, number):
    assert env(NAME=value).number("NAME", 1.2) == number


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "soon"])
def test_a_number_that_is_none(value):
    assert complaint(lambda: env(N=value).number("N", 1)) == f"N is {value!r}; expected a number such as 1.5."


def test_a_choice():
    assert env(FENCE="off").choice("FENCE", "on", ("on", "off")) == "off"
    assert env().choice("FENCE", "on", ("on", "off")) == "on"


def test_a_choice_that_there_is_not():
    text = complaint(lambda: env(FENCE="maybe").choice("FENCE", "on", ("on", "off")))
    assert text == "FENCE is 'maybe'; expected one of on, off."


@pytest.mark.parametrize(("value", "items"), [("a, b,,c ", ["a", "b", "c"]), ("", ["default"]), (" , ", ["default"])])
def test_items(value, items):
    assert env(NAME=value).items("NAME", ["default"]) == items


def test_a_secret_from_a_variable():
    assert env(KEY="secret").secret("KEY") == "secret"


def test_a_secret_from_a_file_loses_its_last_line_end(tmp_path):
    file = tmp_path / "key"
    file.write_text(" secret \n")
    assert env(KEY_FILE=str(file)).secret("KEY") == " secret "


def test_a_secret_given_twice_is_not_repeated(tmp_path):
    text = complaint(lambda: env(KEY="hunter2", KEY_FILE=str(tmp_path)).secret("KEY"))
    assert text == "KEY and KEY_FILE are both set; expected one of them."


def test_a_secret_file_that_is_not_there():
    text = complaint(lambda: env(KEY_FILE="/nowhere/key").secret("KEY"))
    assert text == "KEY_FILE is '/nowhere/key'; expected a file that can be read (No such file or directory)."


@pytest.mark.parametrize(("content", "expected"), [(b"\n", "not empty"), (b"\xff\xfe", "it is not text")])
def test_a_secret_file_of_no_use(tmp_path, content, expected):
    file = tmp_path / "key"
    file.write_bytes(content)
    assert expected in complaint(lambda: env(KEY_FILE=str(file)).secret("KEY"))
