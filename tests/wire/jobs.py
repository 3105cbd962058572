"""Calls that take long: an answer with an id, words that change with each poll, media at the end.

Each family of servers has its own body for the same story: `STYLES`.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.wire.pictures import clip, media_type, wanted
from tests.wire.talking import Answer, Reply, Talk, json_reply

DONE = frozenset({"completed", "succeeded", "done", "success", "ready"})
FAILED = frozenset({"failed", "cancelled", "expired", "error"})

Style = Literal["openai", "relay", "sdcpp", "openrouter", "xai", "wrapped"]


@dataclass
class Job:
    """One call that was taken.

    Args:
        words: its status at the creating call and at each poll; the last one stays.
        media: what it makes.
        expires: whether the first address of its media, or its content, is refused until the job
            was asked for once more after it was done.
    """

    id: str
    style: Style
    words: Sequence[str]
    media: Sequence[bytes]
    fields: dict[str, Any]
    expires: bool = False
    polls: int = 0
    told: int = field(default=0)
    """How many polls said that it is done."""

    @property
    def word(self) -> str:
        return self.words[min(self.polls, len(self.words) - 1)]

    @property
    def done(self) -> bool:
        return self.word.lower() in DONE

    @property
    def fresh(self) -> bool:
        """Whether its media may be had."""
        return self.told > 1 or (self.told == 1 and not self.expires)

    def failure(self) -> dict[str, str] | None:
        failed = self.word.lower() in FAILED
        return {"code": "generation_failed", "message": "the model fell over"} if failed else None


class Jobs:
    """All jobs of a server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.all: dict[str, Job] = {}

    def take(self, job: Job) -> Job:
        """A new job; the same as before, where the call came again."""
        with self._lock:
            return self.all.setdefault(job.id, job)

    def find(self, path: str) -> Job | None:
        return next((self.all[name] for name in path.split("/") if name in self.all), None)

    def reply(self, talk: Talk) -> Reply | None:
        """The answer to a poll, to a call for content, to a delete or a cancel of a known job."""
        job = self.find(talk.received.path)
        if job is None:
            return None
        with self._lock:
            if talk.received.path.endswith("/content"):
                return content(job, talk)
            if talk.received.method == "DELETE":
                del self.all[job.id]
                return json_reply({"id": job.id, "object": "video.deleted", "deleted": True})
            if talk.received.path.endswith("/cancel"):
                job.words = ("cancelled",)
            else:
                job.polls += 1
            job.told += job.done
        return json_reply(STYLES[job.style][1](job, talk))


def job(
    *words: str,
    style: Style = "relay",
    expires: bool = False,
    status: int | None = None,
    name: str = "job-{number}",
    cancel: Literal["cancel_url", "urls"] | None = None,
    **headers: str,
) -> Answer:
    """The answer to a creating call: it was taken.

    Args:
        words: the job's status now and at each poll.
        style: whose bodies it has.
        status: 200 or 202; None for what the family does.
        name: its id; `{number}` says which creating call it was.
        cancel: under which key the answer says where it is cancelled, if it does.
        headers: with `_` for `-`.
    """

    def take(talk: Talk) -> Reply:
        received = talk.received
        film = style in ("openai", "openrouter", "xai") or "video" in received.path
        media = [clip(talk.number)] if film else wanted(received, talk.number)
        says = words or ("queued", "in_progress", "completed")
        taken = talk.server.jobs.take(
            Job(name.format(number=talk.number), style, says, media, received.fields, expires)
        )
        usual = 202 if style in ("sdcpp", "openrouter") else 200
        body = STYLES[style][0](taken, talk)
        if cancel is not None:
            url = f"{talk.server.base_url}/jobs/{taken.id}/cancel"
            body |= {"cancel_url": url} if cancel == "cancel_url" else {"urls": {"cancel": url}}
        return json_reply(body, status or usual, **headers)

    return take


def content(job: Job, talk: Talk) -> Reply:
    """The bytes of a job's first medium, or why there are none."""
    if not job.told:
        error = {"message": "not ready", "type": "invalid_request_error", "code": None}
        return json_reply({"error": error}, 404)
    if not job.fresh:
        return EXPIRED
    index = int(talk.received.query.get("index", "0"))
    return Reply(200, job.media[index], {"content-type": media_type(job.media[index])})


EXPIRED = Reply(
    403,
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code>'
    b"<Message>Request has expired</Message></Error>",
    {"content-type": "application/xml"},
)
"""What a bucket says of a signed address whose time is over."""


def addresses(job: Job, talk: Talk) -> list[str]:
    """Where a job's media lie, by an address that is new at each poll."""
    found = []
    for index, data in enumerate(job.media):
        ending = media_type(data).partition("/")[2]
        path = f"/media/{job.id}/{job.told}-{index}.{ending}"
        fresh = Reply(200, data, {"content-type": media_type(data)})
        found.append(talk.server.always(fresh if job.fresh else EXPIRED, path))
    return found


# ---------------------------------------------------------------- bodies


def openai_body(job: Job, talk: Talk) -> Any:
    """OpenAI's videos, as openai-openapi 2.3.0 has them."""
    return {
        "id": job.id,
        "object": "video",
        "model": job.fields.get("model", "paper-1"),
        "status": job.word,
        "progress": 100 if job.done else min(99, 40 * job.polls),
        "created_at": 1700000000,
        "completed_at": 1700000060 if job.done else None,
        "expires_at": 1700003660 if job.done else None,
        "prompt": job.fields.get("prompt"),
        "size": job.fields.get("size", "720x1280"),
        "seconds": job.fields.get("seconds", "4"),
        "remixed_from_video_id": None,
        "error": job.failure(),
    }


def relay_taken(job: Job, talk: Talk) -> Any:
    return {"id": job.id, "status": job.word, "poll_url": f"/v1/images/jobs/{job.id}"}


def relay_body(job: Job, talk: Talk) -> Any:
    data = [{"url": url} for url in addresses(job, talk)] if job.done else []
    return {**relay_taken(job, talk), "data": data, "error": job.failure()}


def sdcpp_taken(job: Job, talk: Talk) -> Any:
    return {
        "id": job.id,
        "kind": "img_gen",
        "status": job.word,
        "created": 1700000000,
        "poll_url": f"/sdcpp/v1/jobs/{job.id}",
    }


def sdcpp_body(job: Job, talk: Talk) -> Any:
    images = [
        {"index": index, "b64_json": base64.b64encode(data).decode()}
        for index, data in enumerate(job.media)
    ]
    return {
        "id": job.id,
        "status": job.word,
        "queue_position": 0,
        "result": {"output_format": "png", "images": images} if job.done else None,
        "error": job.failure(),
    }


def openrouter_taken(job: Job, talk: Talk) -> Any:
    return {"id": job.id, "polling_url": f"/v1/videos/{job.id}", "status": job.word}


def openrouter_body(job: Job, talk: Talk) -> Any:
    failure = job.failure()
    content = f"{talk.server.base_url}/videos/{job.id}/content?index=0"
    return {
        **openrouter_taken(job, talk),
        "generation_id": f"gen-{job.id}",
        "unsigned_urls": [content] if job.done else [],
        "usage": {"cost": 0.25} if job.done else None,
        "error": failure["message"] if failure else None,
    }


def xai_taken(job: Job, talk: Talk) -> Any:
    return {"request_id": job.id}


def xai_body(job: Job, talk: Talk) -> Any:
    body = {"status": job.word, "model": "grok-imagine-video", "progress": min(99, 40 * job.polls)}
    if job.done:
        video = {"url": addresses(job, talk)[0], "duration": 4, "respect_moderation": True}
        return {**body, "progress": 100, "video": video}
    return body if job.failure() is None else {**body, "error": job.failure()}


def wrapped_taken(job: Job, talk: Talk) -> Any:
    """A job inside of an envelope, as Kling and its relays send it."""
    return {"code": 0, "message": "ok", "data": {"task_id": job.id, "task_status": job.word}}


def wrapped_body(job: Job, talk: Talk) -> Any:
    body = wrapped_taken(job, talk)
    if job.done:
        images = [{"index": i, "url": url} for i, url in enumerate(addresses(job, talk))]
        body["data"]["task_result"] = {"images": images}
    if (failure := job.failure()) is not None:
        body["data"]["task_status_msg"] = failure["message"]
    return body


Body = Callable[[Job, Talk], Any]

STYLES: dict[Style, tuple[Body, Body]] = {
    "openai": (openai_body, openai_body),
    "relay": (relay_taken, relay_body),
    "sdcpp": (sdcpp_taken, sdcpp_body),
    "openrouter": (openrouter_taken, openrouter_body),
    "xai": (xai_taken, xai_body),
    "wrapped": (wrapped_taken, wrapped_body),
}
"""Of each family: the body of the answer to the creating call, and of that to a poll."""
