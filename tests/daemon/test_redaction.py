"""Keys are shown to nobody, in whatever spelling they come back."""

import base64
import html
import json
import pickle
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.redaction import STARS, Secret, Sieve

KEY = "canary/+key?9f3a=="
TEXTS = st.text(max_size=30)


def sieve(*keys: str) -> Sieve:
    made = Sieve()
    made.learn(Secret(key) for key in keys)
    return made


def test_a_secret_shows_itself_to_who_asks_for_it_and_to_nobody_else() -> None:
    secret = Secret(KEY)
    assert secret.reveal() == KEY
    for shown in (repr(secret), str(secret), f"{secret}", repr([secret]), repr({"key": secret})):
        assert KEY not in shown
    assert secret == Secret(KEY)
    assert secret != KEY
    assert len({secret, Secret(KEY)}) == 1


def test_a_secret_is_not_stored() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret(KEY))


@pytest.mark.parametrize(
    "spelled",
    [
        KEY,
        quote(KEY, safe=""),
        quote_plus(KEY),
        quote(KEY),
        quote(KEY, safe="").replace("%2B", "%2b").replace("%2F", "%2f"),
        json.dumps(KEY)[1:-1],
        html.escape(KEY),
        KEY.upper(),
        KEY.replace("/", "~1"),
        base64.urlsafe_b64encode(KEY.encode()).decode(),
        base64.b64encode(KEY.encode()).decode(),
        base64.b64encode(f"user:{KEY}".encode()).decode(),
        base64.b64encode(f"ab{KEY}".encode()).decode(),
    ],
)
def test_a_known_key_is_taken_out_in_every_spelling(spelled: str) -> None:
    text = sieve(KEY).text(f"it said: {spelled}.")
    assert STARS in text
    assert spelled[6:-6] not in text


def test_a_key_in_the_name_of_a_field_is_taken_out() -> None:
    assert sieve("a.key~of[two]parts").text("/n/a/key~0of/two/parts") == f"/n/{STARS}"


@pytest.mark.parametrize("size", range(8, len(KEY)))
def test_what_is_left_of_a_key_where_a_text_was_cut_short_is_taken_out(size: int) -> None:
    for text in (f"it said {KEY[:size]}…", f"({KEY[:size].upper()}…): no", f"it said {KEY[:size]}"):
        assert STARS in sieve(KEY).text(text)
        assert KEY[: size - 1] not in sieve(KEY).text(text)
    assert sieve(KEY).text(f"it said {KEY[:7]}…") == f"it said {KEY[:7]}…"


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-abcdefghijklmnop1234",
        "Authorization: Bearer abcdefgh12345678",
        "GET https://x.test/v1?key=AIzaSyAbcdefgh",
        "http://user:hunter22@proxy.test/",
    ],
)
def test_what_looks_like_a_key_is_taken_out_though_nobody_knows_it(text: str) -> None:
    cleaned = Sieve().text(text)
    assert STARS in cleaned
    for secret in ("abcdefghijklmnop1234", "abcdefgh12345678", "AIzaSyAbcdefgh", "hunter22"):
        assert secret not in cleaned


@pytest.mark.parametrize(
    "text", ["a brass diving helmet", "task-force of 12 keyboards", "https://x.test/a?b=c", ""]
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert sieve(KEY).text(text) == text


def test_short_values_are_words_like_any_other() -> None:
    assert sieve("cat").text("a cat on a mat") == "a cat on a mat"


def test_a_json_value_is_cleaned_at_every_depth() -> None:
    value = {"a": [KEY, 1, None, {"b": f"x {KEY}"}], KEY: True}
    cleaned = sieve(KEY).json(value)
    assert KEY not in json.dumps(cleaned)
    assert cleaned["a"][1:3] == [1, None]


@given(TEXTS, TEXTS, st.text(st.characters(exclude_categories=["Cs"]), min_size=6, max_size=20))
def test_a_key_never_comes_through(before: str, after: str, key: str) -> None:
    cleaned = sieve(key).text(before + key + after)
    assert key not in cleaned.replace(STARS, "\n") or key in before + "\n" + after


def test_what_is_learned_later_is_known_besides() -> None:
    made = sieve("first-key-1")
    made.learn([Secret("second-key-2")])
    assert made.text("first-key-1 second-key-2") == f"{STARS} {STARS}"
