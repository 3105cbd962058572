"""A job is left where its own answer said how, and nowhere else."""

from typing import Any

import pytest

from handlers.contract import HandlerError
from handlers.openai_shape.cancelling import cancel_call
from handlers.wire import Cancels, HttpCall, HttpReply, Ticket
from tests.handlers.driving import call, drive, provider, reply

BASE = "https://relay.example/v1"


def taken(body: Any) -> Ticket:
    ticket, _ = drive(provider(BASE).submit(call()), [reply(body)])
    assert isinstance(ticket, Ticket)
    return ticket


def cancelled(ticket: Ticket, *replies: HttpReply) -> tuple[bool, list[HttpCall]]:
    return drive(provider(BASE).cancel(ticket), replies)


def put(url: str) -> HttpCall:
    return HttpCall("PUT", url)


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"cancel_url": f"{BASE}/j/cancel"}, put(f"{BASE}/j/cancel")),
        ({"cancel_url": "/queue/j/cancel"}, put("https://relay.example/queue/j/cancel")),
        ({"cancel_url": "j/cancel"}, put(f"{BASE}/j/cancel")),
        ({"urls": {"cancel": f"{BASE}/j/cancel"}}, HttpCall("POST", f"{BASE}/j/cancel")),
        ({"data": {"cancel_url": f"{BASE}/j/c"}}, put(f"{BASE}/j/c")),
    ],
)
def test_a_job_is_cancelled_where_its_answer_says(body: Any, sent: HttpCall) -> None:
    ticket = taken({"id": "j", "status": "queued", **body})
    assert cancelled(ticket, reply({"status": "cancelling"}, 202)) == (True, [sent])
    assert sent.creates is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"urls": {"get": f"{BASE}/j"}},
        {"cancel_url": ""},
        {"cancel_url": 7},
        {"cancel_url": ["x"]},
        {"urls": {"cancel": None}},
        {"cancel_url": "https://elsewhere.example/v1/j/cancel"},
        {"cancel_url": "http://relay.example/v1/j/cancel"},
        {"cancel_url": "//elsewhere.example/cancel"},
        {"cancel_url": "https://[broken/cancel"},
        {"cancel_url": "https://relay.example/" + "c" * 2000},
    ],
)
def test_no_call_is_made_up_and_none_leaves_the_servers_origin(body: Any) -> None:
    ticket = taken({"id": "j", "status": "queued", **body})
    assert "cancel" not in ticket.state
    assert cancelled(ticket) == (False, [])


def test_a_ticket_of_an_older_version_knows_of_no_call() -> None:
    assert cancel_call(Ticket("j")) is None


@pytest.mark.parametrize("body", [b"", b"OK", {"id": "j"}, {"status": "canceled"}])
def test_any_success_is_an_agreement(body: Any) -> None:
    ticket = taken({"id": "j", "status": "queued", "cancel_url": "/c"})
    assert cancelled(ticket, reply(body))[0]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (reply({"error": {"message": "ALREADY_COMPLETED"}}, 400), "ALREADY_COMPLETED"),
        (reply({"detail": "no such job"}, 404), "no such job"),
        (reply({}, 409), "409"),
        (reply({"status": "succeeded", "output": "x"}), "done with the job already"),
    ],
)
def test_who_does_not_agree_is_told_of(answer: HttpReply, said: str) -> None:
    ticket = taken({"id": "j", "status": "queued", "urls": {"cancel": f"{BASE}/c"}})
    with pytest.raises(HandlerError, match=said):
        cancelled(ticket, answer)


def test_servers_of_this_shape_can_be_told() -> None:
    assert isinstance(provider(BASE), Cancels)
