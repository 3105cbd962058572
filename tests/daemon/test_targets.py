"""How addresses are read, and which references lead where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.sites import Site, absolute
from daemon.targets import LONGEST, Target, aim, check_outside, target_of
from handlers.contract import HandlerError

READ = {
    "https://api.test/v1": Target("https", "api.test", 443, "/v1"),
    "HTTPS://API.Test./v1": Target("https", "api.test", 443, "/v1"),
    "http://api.test": Target("http", "api.test", 80, "/"),
    "https://api.test:8443?a=b#c": Target("https", "api.test", 8443, "/?a=b"),
    "https://a_b.test/x y/é": Target("https", "a_b.test", 443, "/x%20y/%C3%A9"),
    "https://a.test/x%2Fy?sig=a%2Bb%3D": Target("https", "a.test", 443, "/x%2Fy?sig=a%2Bb%3D"),
    "https://bücher.test/": Target("https", "xn--bcher-kva.test", 443, "/"),
    "http://[::1]:8188/x": Target("http", "::1", 8188, "/x"),
    "http://[0:0:0:0:0:0:0:1]/": Target("http", "::1", 80, "/"),
    "http://127.0.0.1:80/": Target("http", "127.0.0.1", 80, "/"),
    "http://１２７.0.0.1/": Target("http", "127.0.0.1", 80, "/"),
    "http://127。0。0。1/": Target("http", "127.0.0.1", 80, "/"),
}

REFUSED = [
    "",
    "api.test/x",
    "//api.test/x",
    "file:///etc/passwd",
    "ftp://api.test/",
    "data:image/png;base64,AAAA",
    "javascript:alert(1)",
    "gopher://api.test:70/_x",
    "https://",
    "https:///x",
    "https:api.test",
    "https://user:pass@api.test/",
    "https://user@api.test/",
    "https://@api.test/",
    "https://api.test@127.0.0.1/",
    "https://api.test\\@127.0.0.1/",
    "https:\\\\127.0.0.1/",
    "https://api.test:0/",
    "https://api.test:/",
    "https://api.test:99999/",
    "https://api.test:x/",
    "https://api.test:-1/",
    "https://api.te st/",
    "https://api.test/a\nb",
    "https://api.test/a\tb",
    " https://api.test/",
    "https://api.test/\x00",
    "https://api..test/",
    "https://.api.test/",
    "https://-api.test/",
    "https://api%2etest/",
    "https://%31%32%37.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://127.0.0.1.0x1/",
    "https://1.2.3.4.5/",
    "https://[::1/",
    "https://[fe80::1%25eth0]/",
    "https://[127.0.0.1]/",
    "https://[::1]x/",
    "https://a.test/\ud800",
    "https://" + "a" * 64 + "/",
    "https://" + "a." * 128 + "/",
    "https://a.test/" + "a" * LONGEST,
]


@pytest.mark.parametrize(("url", "target"), READ.items())
def test_addresses_are_read_in_one_spelling(url: str, target: Target) -> None:
    assert target_of(url) == target
    assert target_of(target.url) == target


@pytest.mark.parametrize("url", REFUSED)
def test_odd_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValueError):
        target_of(url)


@given(st.text() | st.from_regex(r"https?://[^/]{0,20}(:[0-9]*)?/.{0,20}"))
def test_whatever_is_read_is_read_the_same_again(url: str) -> None:
    try:
        target = target_of(url)
    except ValueError:
        return
    assert target_of(target.url) == target
    assert target.url.isascii()


def test_what_is_shown_has_no_query() -> None:
    target = target_of("https://a.test:444/x?key=canary")
    assert target.shown == "https://a.test:444/x"
    assert target.authority == "a.test:444"


SITE = Site("https://api.test/v1")

REFERENCES = {
    "/images": "https://api.test/v1/images",
    "images": "https://api.test/v1/images",
    "//cdn.test/x": "https://cdn.test/x",
    "https://cdn.test/x": "https://cdn.test/x",
    "/@evil.test/": "https://api.test/v1/@evil.test/",
    ".evil.test/x": "https://api.test/v1/.evil.test/x",
}


@pytest.mark.parametrize(("reference", "url"), REFERENCES.items())
def test_a_path_is_appended_to_the_base_url(reference: str, url: str) -> None:
    assert absolute(SITE, reference) == url


def test_a_path_cannot_change_the_host() -> None:
    for reference in ("@evil.test/", ".evil.test", ":444/x", "\\evil.test", "/"):
        try:
            target, own = aim(Site("https://api.test"), reference)
        except HandlerError as error:
            assert error.code == "forbidden_address"
        else:
            assert (own, target.host) == (True, "api.test")


OWN = ["https://api.test/x", "https://API.TEST:443/x", "//api.test/x", "/x", "https://api.test./x"]
FOREIGN = ["http://api.test/x", "https://api.test:444/x", "https://api.test.evil.test/x"]


@pytest.mark.parametrize("reference", OWN)
def test_the_origin_is_known_in_any_spelling(reference: str) -> None:
    assert aim(SITE, reference)[1]


@pytest.mark.parametrize("reference", FOREIGN)
def test_what_is_only_like_the_origin_is_foreign(reference: str) -> None:
    assert not aim(SITE, reference)[1]


@pytest.mark.parametrize("base_url", ["api.test", "https://user:canary@api.test", "ftp://a.test"])
def test_a_base_url_that_is_no_good_is_the_configurations_fault(base_url: str) -> None:
    with pytest.raises(HandlerError) as caught:
        aim(Site(base_url), "/x")
    assert caught.value.code == "config_invalid"
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://cdn.test/x", "https://cdn.test:8443/x"])
def test_outside_the_usual_port_and_the_sites_own_are_called(url: str) -> None:
    check_outside(Site("https://api.test:8443"), target_of(url))


@pytest.mark.parametrize("url", ["http://cdn.test/x", "https://cdn.test:22/x"])
def test_outside_no_other_port_is_called_and_nothing_but_https(url: str) -> None:
    with pytest.raises(HandlerError) as caught:
        check_outside(SITE, target_of(url))
    assert caught.value.code == "forbidden_address"
