"""The strict door: dropped bytes become a request, or all that is wrong with them is told."""

import json
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.envelope import MAX_DEADLINE, MAX_LABELS, Envelope
from daemon.errors import BadRequest, Problem
from daemon.requests import (
    Request,
    body_digest,
    digest_of,
    digests_of,
    infer_task,
)
from daemon.strictjson import MAX_FAULTS
from tests.builders import JSON, TEXTS, as_bytes, door
from tests.examples import examples

DOOR = door()
GOOD = {"task": "generate_image", "prompt": "a brass diving helmet"}
POINTER = re.compile(r"(/([^~/]|~0|~1)*)*\Z")


def taken(**fields: Any) -> Request:
    return DOOR.parse(as_bytes({**GOOD, **fields}))


def refused(value: Any) -> Problem:
    with pytest.raises(BadRequest) as caught:
        DOOR.parse(value if isinstance(value, bytes) else as_bytes(value))
    return caught.value.problem


def faults(**fields: Any) -> dict[str, str]:
    problem = refused({**GOOD, **fields})
    assert problem.code == "invalid_request"
    return {fault.pointer: fault.message for fault in problem.faults}


# ---------------------------------------------------------------- what is taken


def test_the_smallest_request_is_taken() -> None:
    request = DOOR.parse(b'{"prompt": "x"}')
    assert request.task == "generate_image"
    assert request.fields.model_dump(exclude_none=True) == {
        "task": "generate_image",
        "prompt": "x",
    }
    assert request.raw == {"prompt": "x"}
    assert request.folder is None


def test_a_request_with_every_field_is_taken() -> None:
    request = taken(
        id="my-1",
        provider="local",
        model="m",
        endpoint="/images",
        extra={"cfg": {"deep": [1, 2.5, None]}},
        out_dir="tmp/images/shoes",
        prefix="hero",
        max_attempts=2,
        timeout=1.5,
        priority=-100,
        not_before="2026-11-22T10:00:00+01:00",
        deadline_seconds=0.5,
        dry_run=True,
        labels={"a": [1]},
        size="1024x1536",
        aspect_ratio="16:9",
        quality="high",
        style="vivid",
        background="transparent",
        n=3,
        seed=18446744073709551615,
        output_format="webp",
        negative_prompt="no",
        nsfw=False,
        preset="p",
        mode="image",
        **{"$schema": "https://example.org/schema.json"},
    )
    assert request.folder == "images/shoes"
    assert request.envelope.not_before == "2026-11-22T09:00:00.000Z"
    assert request.envelope.extra == {"cfg": {"deep": [1, 2.5, None]}}
    assert request.fields.model_dump()["seed"] == 18446744073709551615


def test_the_prompt_is_never_changed() -> None:
    prompt = "  é\n\t{name} \u2028 😀 \\ud800 <b> "
    assert taken(prompt=prompt).fields.model_dump()["prompt"] == prompt


@pytest.mark.parametrize(
    ("alias", "name", "value"),
    [
        ("count", "n", 2),
        ("aspectRatio", "aspect_ratio", "4:3"),
        ("outputFormat", "output_format", "jpeg"),
    ],
)
def test_an_alias_is_its_field(alias: str, name: str, value: Any) -> None:
    assert taken(**{alias: value}).fields == taken(**{name: value}).fields


def test_filename_is_prefix() -> None:
    assert taken(filename="hero").envelope.prefix == "hero"


@pytest.mark.parametrize(("given_", "seconds"), [(1500, 1.5), (60_000, 60), (0.5, 0.0005)])
def test_timeout_ms_is_timeout_in_milliseconds(given_: float, seconds: float) -> None:
    assert taken(timeoutMs=given_).envelope.timeout == seconds


@pytest.mark.parametrize(("text", "value"), [("false", False), ("true", True)])
def test_old_manifests_write_booleans_as_text(text: str, value: bool) -> None:
    assert taken(nsfw=text).fields.model_dump()["nsfw"] is value
    assert taken(preset=text).fields.model_dump()["preset"] is value


def test_other_texts_for_a_boolean_are_refused_where_only_a_boolean_will_do() -> None:
    assert list(faults(nsfw="no")) == ["/nsfw"]
    assert taken(preset="no").fields.model_dump()["preset"] == "no"


# ---------------------------------------------------------------- tasks


@pytest.mark.parametrize("value", [[], [GOOD], [1]])
def test_a_list_is_a_batch_that_goes_on_after_a_failure(value: Any) -> None:
    request = DOOR.validate(value)
    assert request.task == "generate_batch_media"
    assert request.raw == {
        "task": "generate_batch_media",
        "items": value,
        "continue_on_error": True,
    }


def test_a_long_list_of_items_is_text_which_goes_to_a_blob_and_means_the_same() -> None:
    items = [{"prompt": f"number {number}"} for number in range(1000)]
    request = DOOR.validate(items)
    assert isinstance(request.raw["items"], str)
    assert json.loads(request.raw["items"]) == items
    assert DOOR.validate(request.raw).fields == request.fields


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"1", "a number"),
        (b"1.5", "a number"),
        (b'"x"', "a text"),
        (b"true", "a boolean"),
        (b"null", "null"),
    ],
)
def test_what_is_no_object_is_named(data: bytes, kind: str) -> None:
    problem = refused(data)
    assert problem.code == "invalid_request"
    assert problem.message == f"a request is an object, not {kind}"


def test_an_unknown_task_is_refused_with_the_list_and_the_nearest_one() -> None:
    problem = refused({"task": "generate_imgae", "prompt": "x"})
    assert problem.code == "unknown_task"
    assert problem.message == ('there is no task "generate_imgae"; did you mean "generate_image"?')
    assert [fault.pointer for fault in problem.faults] == ["/task"]
    assert all(task in problem.hints[0] for task in DOOR.handlers)


@pytest.mark.parametrize("task", [None, 1, [], {}, True])
def test_a_task_that_is_no_text_is_refused(task: Any) -> None:
    problem = refused({"task": task, "prompt": "x"})
    assert problem.code == "unknown_task"
    assert [fault.pointer for fault in problem.faults] == ["/task"]


def test_a_huge_task_name_is_cut_short_in_the_answer() -> None:
    problem = refused({"task": "x" * 1_000_000})
    assert len(problem.message) < 300


@pytest.mark.parametrize(
    ("fields", "task"),
    [
        ({}, "generate_image"),
        ({"mode": "image"}, "generate_image"),
        ({"mode": "video"}, "generate_video"),
        ({"reference_images": ["a.png"]}, "reference_media"),
        ({"reference_image": "a.png", "mode": "video"}, "reference_media"),
        ({"consistent": True}, "reference_media"),
        ({"consistent": False, "reference_images": []}, "generate_image"),
    ],
)
def test_a_task_left_out_is_inferred_as_the_old_manifests_routed(
    fields: dict[str, Any], task: str
) -> None:
    assert infer_task(fields) == task


# ---------------------------------------------------------------- fields


def test_every_fault_is_told_at_once_where_the_caller_spelled_it() -> None:
    told = faults(
        promt="typo",
        count=11,
        size="big",
        seed=-1,
        output_format="gif",
        timeoutMs=0,
        labels=[],
        out_dir="/etc",
        priority=101,
        dry_run="yes",
    )
    assert sorted(told) == [
        "/count",
        "/dry_run",
        "/labels",
        "/out_dir",
        "/output_format",
        "/priority",
        "/promt",
        "/seed",
        "/size",
        "/timeoutMs",
    ]
    assert told["/promt"] == 'unknown field; did you mean "prompt"?'


def test_a_field_out_of_dir_is_told_beside_faults_of_the_task() -> None:
    assert sorted(faults(out_dir="/etc", n=0)) == ["/n", "/out_dir"]


def test_a_missing_field_is_told_by_its_name() -> None:
    problem = refused({"task": "generate_image"})
    assert [(f.pointer, f.message) for f in problem.faults] == [("/prompt", "is missing")]


def test_an_unknown_field_without_a_near_one_is_sent_to_extra() -> None:
    assert faults(zzzzzz=1) == {
        "/zzzzzz": "unknown field; what only your provider knows goes in extra"
    }


def test_a_field_name_with_odd_characters_has_an_escaped_pointer() -> None:
    assert list(faults(**{"a/b~c": 1})) == ["/a~1b~0c"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prompt", None),
        ("prompt", ""),
        ("prompt", 1),
        ("prompt", ["x"]),
        ("n", "2"),
        ("n", 2.0),
        ("n", True),
        ("n", 0),
        ("n", 11),
        ("n", 18446744073709551615),
        ("seed", "1"),
        ("seed", 1.5),
        ("seed", -1),
        ("size", "1024"),
        ("size", "1024x"),
        ("size", "0x16"),
        ("size", "1024x1024\n"),
        ("size", "100000x1"),
        ("size", "٣x٣"),
        ("size", 1024),
        ("aspect_ratio", "16/9"),
        ("aspect_ratio", "0:1"),
        ("aspect_ratio", "1000:1"),
        ("output_format", "PNG"),
        ("mode", "video2"),
        ("nsfw", 0),
        ("preset", 3),
        ("timeout", True),
        ("timeout", "30"),
        ("timeout", 0),
        ("timeout", -1),
        ("timeout", 86401),
        ("timeoutMs", "60000"),
        ("timeoutMs", True),
        ("max_attempts", 0),
        ("max_attempts", 101),
        ("max_attempts", 1.0),
        ("priority", 101),
        ("priority", -101),
        ("priority", 1.0),
        ("priority", True),
        ("priority", "1"),
        ("priority", None),
        ("not_before", "2026-11-22 10:00"),
        ("not_before", "tomorrow"),
        ("not_before", "2026-02-30T10:00:00Z"),
        ("not_before", 1795341600),
        ("not_before", ""),
        ("not_before", "9" * 101),
        ("deadline_seconds", 0),
        ("deadline_seconds", -1),
        ("deadline_seconds", MAX_DEADLINE + 1),
        ("deadline_seconds", True),
        ("deadline_seconds", "60"),
        ("poll_interval", 0),
        ("poll_interval", 3601),
        ("poll_interval", "5"),
        ("max_polls", 0),
        ("max_polls", 1.5),
        ("max_polls", True),
        ("dry_run", 1),
        ("dry_run", "true"),
        ("dry_run", None),
        ("id", ""),
        ("id", "x" * 201),
        ("id", 7),
        ("provider", ""),
        ("provider", [1]),
        ("extra", []),
        ("extra", "{}"),
        ("labels", None),
        ("labels", "x"),
    ],
)
def test_a_mistyped_field_is_one_place_and_no_other(name: str, value: Any) -> None:
    assert list(faults(**{name: value})) == [f"/{name}"]


def test_a_time_without_an_offset_is_told_how_it_should_look() -> None:
    assert faults(not_before="2026-11-22 10:00") == {
        "/not_before": "has no offset from UTC: write 2026-11-22T10:00Z for UTC, "
        "or your own, as in 2026-11-22T10:00+01:00"
    }


def test_a_field_given_under_two_names_is_refused() -> None:
    assert faults(n=1, count=1) == {"/count": 'given twice, also as "n"'}
    assert faults(count=1, n=1) == {"/n": 'given twice, also as "count"'}
    assert list(faults(timeout=1, timeoutMs=1000)) == ["/timeoutMs"]
    assert list(faults(prefix="a", filename="a")) == ["/filename"]


def test_labels_are_taken_up_to_their_limit() -> None:
    room = MAX_LABELS - len('{"a": ""}')
    assert taken(labels={"a": "x" * room}).envelope.labels == {"a": "x" * room}
    assert list(faults(labels={"a": "x" * (room + 1)})) == ["/labels"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("download", 0), ("download", None), ("vars", False)],
)
def test_what_only_python_takes_for_the_default_is_not_it(name: str, value: Any) -> None:
    assert list(faults(**{name: value})) == [f"/{name}"]


@pytest.mark.parametrize(
    ("task", "more"),
    [
        ("edit_image", {"image": "a.png", "mask": "b.png", "keep_outside": True}),
        ("mask_inpaint", {"image": "a.png", "regions": ["rect:0:0:1:1"], "keep_outside": True}),
        ("outpaint_image", {"image": "a.png", "expand": 1, "keep_outside": True}),
        ("object_select_edit", {"image": "a.png", "keep_outside": True}),
        ("fetch_generated_media", {"url": "https://x.test/a.png"}),
    ],
)
def test_what_works_on_media_that_come_back_cannot_leave_them_there(
    task: str, more: dict[str, Any]
) -> None:
    wanted = {"task": task, **more} | ({} if "fetch" in task else {"prompt": "x"})
    assert DOOR.validate(wanted).envelope.download
    with pytest.raises(BadRequest) as caught:
        DOOR.validate({**wanted, "download": False})
    (fault,) = caught.value.problem.faults
    assert (fault.pointer, fault.message[:17]) == ("/download", "cannot be false: ")
    if more.pop("keep_outside", False):
        wanted.pop("keep_outside")
        wanted.pop("mask", None)
        assert not DOOR.validate({**wanted, "download": False}).envelope.download


def test_a_million_unknown_fields_are_refused_in_a_moment() -> None:
    value = {**GOOD, **{f"prompt{number}": 0 for number in range(300_000)}}
    began = time.process_time()
    with pytest.raises(BadRequest) as caught:
        DOOR.validate(value)
    assert time.process_time() - began < 3
    assert len(caught.value.problem.faults) == MAX_FAULTS


# ---------------------------------------------------------------- where to save


@pytest.mark.parametrize(
    ("out_dir", "folder"),
    [
        ("tmp", ""),
        ("tmp/", ""),
        ("tmp/images", "images"),
        ("./tmp//images/./shoes/", "images/shoes"),
        ("tmp/images/../videos", "videos"),
        ("inbox/../tmp/x", "x"),
        ("/root/tmp/x", "x"),
        ("tmp/..x", "..x"),
        ("tmp/ü", "ü"),
    ],
)
def test_a_folder_inside_the_output_root_is_taken(out_dir: str, folder: str) -> None:
    assert taken(out_dir=out_dir).folder == folder


@pytest.mark.parametrize(
    "out_dir",
    [
        ".",
        "..",
        "inbox",
        "/",
        "/etc",
        "tmp/..",
        "tmp/../inbox",
        "tmp/images/../../events",
        "tmpx",
        "/root/tmpx",
        "~/tmp",
        "tmp/\0",
        "file:///root/tmp",
        "//root/tmp",
        "images",
    ],
)
def test_a_folder_outside_of_it_is_refused(out_dir: str) -> None:
    assert faults(out_dir=out_dir) == {"/out_dir": "must lie inside tmp/"}


def test_a_folder_whose_name_no_disk_takes_is_refused_before_anything_is_paid() -> None:
    assert taken(out_dir="tmp/" + "x" * 255).folder == "x" * 255
    assert list(faults(out_dir="tmp/" + "x" * 256)) == ["/out_dir"]
    assert list(faults(out_dir="tmp/" + "漢" * 86)) == ["/out_dir"]


def test_folders_do_not_nest_without_end() -> None:
    assert list(faults(out_dir="tmp/" + "a/" * 600)) == ["/out_dir"]


def test_an_output_root_elsewhere_is_named_as_it_is() -> None:
    elsewhere = door("/root", "/media/out")
    assert elsewhere.validate({**GOOD, "out_dir": "/media/out/x"}).folder == "x"
    with pytest.raises(BadRequest, match="must lie inside /media/out/"):
        elsewhere.validate({**GOOD, "out_dir": "tmp"})


@pytest.mark.parametrize(
    ("prefix", "name"),
    [
        ("hero", "hero"),
        ("hero shot.png", "hero-shot"),
        ("Hero.JPEG", "Hero"),
        ("  spaced  ", "spaced"),
        (".hidden", "hidden"),
        ("..", None),
        ("-rf", "rf"),
        ("a\nb", "a-b"),
        ("a:b*c?", "a-b-c"),
        ("übung", "übung"),
        ("x" * 300, "x" * 80),
        ("💥", None),
        ("", None),
        ("a/b", None),
        ("a\0b", None),
        ("x" * 301, "x" * 80),
        ("v1.2+rc", "v1.2+rc"),
    ],
)
def test_a_prefix_becomes_a_safe_beginning_of_a_name(prefix: str, name: str | None) -> None:
    if name is None:
        assert list(faults(prefix=prefix)) == ["/prefix"]
    else:
        assert taken(prefix=prefix).envelope.prefix == name


@settings(max_examples=examples(150), deadline=None)
@given(st.text(max_size=300))
def test_any_prefix_that_is_taken_leaves_room_in_a_name(prefix: str) -> None:
    try:
        safe = Envelope.model_validate({"prefix": prefix}).prefix
    except ValueError:
        return
    assert safe is not None
    assert 0 < len(safe.encode()) <= 160
    assert not set("/\0\n \\") & set(safe)
    assert safe[0] not in ".-"


@pytest.mark.parametrize("prefix", ["漢" * 80, "𠀀" * 80])
def test_a_prefix_of_wide_characters_leaves_room_too(prefix: str) -> None:
    kept = taken(prefix=prefix).envelope.prefix
    assert kept is not None
    assert len(kept.encode()) <= 160
    assert prefix.startswith(kept)


# ---------------------------------------------------------------- digests


def test_outer_white_space_does_not_tell_requests_apart() -> None:
    sha256, key = digests_of(b' {"a": 1}\r\n')
    assert sha256 == digest_of(b' {"a": 1}\r\n')
    assert digests_of(b'{"a": 1}') == (key, key)
    assert digests_of(b'{"a":1}')[1] != key
    assert digest_of(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_no_break_space_is_content() -> None:
    assert digests_of(b"\xc2\xa0{}")[1] != digests_of(b"{}")[1]


def test_a_body_is_one_however_it_is_spelled() -> None:
    one = json.loads('{"b":[1,{"y":1,"x":2}],"a":"\\u00fc"}')
    other = json.loads('{ "a" : "ü", "b":[1, {"x":2,"y":1}] }')
    assert body_digest(one) == body_digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"n": 1}, {"n": 1.0}),
        ({"n": 1}, {"n": True}),
        ({"n": None}, {}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
    ],
)
def test_other_bodies_have_other_digests(one: Any, other: Any) -> None:
    assert body_digest(one) != body_digest(other)


# ---------------------------------------------------------------- anything at all


def assert_in_form(problem: Problem) -> None:
    assert problem.message
    assert problem.code in (
        "invalid_json",
        "invalid_request",
        "unknown_task",
        "limit_exceeded",
        "not_supported",
    )
    assert len(problem.faults) <= MAX_FAULTS
    for fault in problem.faults:
        assert POINTER.fullmatch(fault.pointer), fault
        assert fault.message
    json.dumps(problem.to_json(), ensure_ascii=False, allow_nan=False).encode()


@settings(max_examples=examples(300), deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_are_refused_and_nothing_worse(data: bytes) -> None:
    try:
        DOOR.parse(data)
    except BadRequest as error:
        assert_in_form(error.problem)


NAMES = st.sampled_from(
    sorted(
        {
            *Envelope.model_fields,
            *Envelope.ALIASES,
            *DOOR.handlers["generate_image"].request.model_fields,
            *DOOR.handlers["generate_image"].request.ALIASES,
            "$schema",
        }
    )
)
VALUES = (
    JSON
    | st.sampled_from(
        [0, 1, 1.0, True, "1x1", "16:9", "png", "true", "tmp", "tmp/..", "generate_image"]
    )
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
)


@settings(max_examples=examples(400), deadline=None)
@given(st.dictionaries(NAMES | TEXTS, VALUES, max_size=8) | JSON)
def test_any_json_value_is_a_request_or_refused_and_nothing_worse(value: Any) -> None:
    try:
        request = DOOR.validate(value)
    except BadRequest as error:
        assert_in_form(error.problem)
        return
    assert request.raw is value or request.task == "generate_batch_media"
    assert DOOR.validate(json.loads(json.dumps(value))).fields == request.fields


@settings(max_examples=examples(200), deadline=None)
@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4))
def test_every_fault_of_a_field_points_at_something_that_is_there(value: Any) -> None:
    value = {"prompt": "x", **value}
    try:
        DOOR.validate(value)
    except BadRequest as error:
        for fault in error.problem.faults:
            place: Any = value
            for part in fault.pointer.split("/")[1:]:
                part = part.replace("~1", "/").replace("~0", "~")
                place = place[int(part) if isinstance(place, list) else part]
