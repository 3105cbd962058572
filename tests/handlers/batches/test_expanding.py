"""The items of a batch: multiplied, filled in, and each by itself."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.envelope import Envelope
from daemon.requests import infer_task
from handlers import find_handlers
from handlers.batches.expanding import Item, expand, shared_names
from handlers.batches.fields import NUMBERS, SHARED, number_of, routed
from handlers.batches.manifests import Entry, ItemFault, entries_of, items_in
from handlers.batches.matrix import TooManyItems


def items(
    written: Sequence[Any],
    *,
    matrix: Mapping[str, Sequence[Any]] | None = None,
    **names: Any,
) -> list[Item]:
    return list(expand(matrix, list(entries_of(list(written))), names))


def values(*written: Any, matrix: Mapping[str, Sequence[Any]] | None = None, **names: Any) -> Any:
    made = items(written, matrix=matrix, **names)
    assert [one.fault for one in made] == [None] * len(made)
    return [one.value for one in made]


def fault(written: Any, **names: Any) -> ItemFault:
    (one,) = items([written], **names)
    assert one.value is None
    assert one.fault is not None
    return one.fault


# ---------------------------------------------------------------- names


def test_items_are_counted_from_one_and_know_their_number() -> None:
    made = items([{"prompt": "cup {index}"}, {"prompt": "cup {index}"}])
    assert [one.index for one in made] == [1, 2]
    assert [one.value for one in made] == [{"prompt": "cup 1"}, {"prompt": "cup 2"}]


def test_shared_names_fill_every_item_and_its_own_go_over_them() -> None:
    assert values(
        {"prompt": "a {colour} {subject}"},
        {"prompt": "a {colour} {subject}", "vars": {"colour": "blue"}},
        colour="red",
        subject="cup",
    ) == [{"prompt": "a red cup"}, {"prompt": "a blue cup"}]


def test_the_names_of_a_file_go_over_those_of_the_request_as_in_the_old_skill() -> None:
    assert shared_names({"a": 1, "b": 1}, {"b": 2}) == {"a": 1, "b": 2}
    assert shared_names(None, {}) == {}


def test_index_and_mode_give_way_to_names_that_somebody_gave() -> None:
    item = {"prompt": "{index} {mode}", "vars": {"index": "007"}}
    assert values(item, mode="print") == [{"prompt": "007 print"}]


@pytest.mark.parametrize(
    ("item", "mode"),
    [
        ({}, "image"),
        ({"mode": "image"}, "image"),
        ({"mode": "video"}, "video"),
        ({"mode": None}, "image"),
        ({"task": "generate_video"}, "video"),
        ({"task": "generate_video", "mode": "animate"}, "animate"),
        ({"mode": "{kind}", "vars": {"kind": "video"}}, "video"),
    ],
)
def test_mode_is_what_the_item_makes(item: dict[str, Any], mode: str) -> None:
    (value,) = values({"prompt": "{mode}", **item})
    assert value["prompt"] == mode


def test_vars_are_no_part_of_what_is_run_and_other_fields_of_that_name_are() -> None:
    (value,) = values({"prompt": "{a}", "vars": {"a": "b"}, "extra": {"vars": {"a": "{a}"}}})
    assert value == {"prompt": "b", "extra": {"vars": {"a": "b"}}}


def test_a_name_may_stand_in_an_id_and_in_what_refers_to_it() -> None:
    made = values(
        {"id": "cut-{subject}", "image": {"from": "{subject}", "artifact": 0}}, subject="cup"
    )
    assert made == [{"id": "cut-cup", "image": {"from": "cup", "artifact": 0}}]


def test_vars_that_are_no_object_are_a_fault_of_that_item_alone() -> None:
    made = items([{"prompt": "a", "vars": ["no"]}, {"prompt": "b"}])
    assert made[0].fault == ItemFault("invalid_request", "must be an object, not a list", "/vars")
    assert made[1].value == {"prompt": "b"}


@pytest.mark.parametrize("nothing", [None, {}])
def test_vars_of_nothing_are_no_fault(nothing: Any) -> None:
    assert values({"prompt": "a", "vars": nothing}) == [{"prompt": "a"}]


def test_a_bomb_is_a_fault_of_its_item() -> None:
    told = fault({"prompt": "{a}" * 10_000}, a="x" * 10_000)
    assert told.code == "limit_exceeded"
    assert "more than 4,194,304 characters" in told.message


def test_an_item_that_nests_without_end_is_a_fault_of_its_own() -> None:
    deep: Any = "{a}"
    for _ in range(20_000):
        deep = [deep]
    assert fault({"prompt": deep}).message == "nested too deeply"


# ---------------------------------------------------------------- the matrix


def test_each_item_is_made_for_every_combination() -> None:
    made = values(
        {"prompt": "a {subject}"},
        {"prompt": "two {subject}s"},
        matrix={"subject": ["cup", "bowl"], "size": ["1024x1024", "1536x1024"]},
    )
    assert [(one["prompt"], one["size"]) for one in made] == [
        ("a cup", "1024x1024"),
        ("a cup", "1536x1024"),
        ("a bowl", "1024x1024"),
        ("a bowl", "1536x1024"),
        ("two cups", "1024x1024"),
        ("two cups", "1536x1024"),
        ("two bowls", "1024x1024"),
        ("two bowls", "1536x1024"),
    ]
    assert made[1]["labels"] == {"subject": "cup", "size": "1536x1024"}
    assert "subject" not in made[0]


def test_index_counts_what_comes_of_the_matrix() -> None:
    made = values({"prompt": "{index}"}, {"prompt": "{index}"}, matrix={"a": [1, 2]})
    assert [one["prompt"] for one in made] == ["1", "2", "3", "4"]


def test_a_combination_goes_over_shared_names_and_under_an_items_own() -> None:
    made = values(
        {"prompt": "{a} {b}", "vars": {"b": "own"}}, matrix={"a": ["m"], "b": ["m"]}, a="s", b="s"
    )
    assert made[0]["prompt"] == "m own"


def test_labels_of_an_item_are_kept_beside_the_combination() -> None:
    (made,) = values({"prompt": "x", "labels": {"a": 0, "mine": "{a}"}}, matrix={"a": [1]})
    assert made["labels"] == {"a": 1, "mine": "1"}


def test_a_field_that_an_item_has_is_not_set_by_the_matrix() -> None:
    made = values({"prompt": "x", "size": "10x10"}, matrix={"size": ["1x1", "2x2"]})
    assert [one["size"] for one in made] == ["10x10", "10x10"]


def test_a_field_that_an_item_has_by_another_spelling_is_not_set() -> None:
    (made,) = values({"prompt": "x", "count": 2}, matrix={"n": [1]})
    assert made == {"prompt": "x", "count": 2, "labels": {"n": 1}}


@pytest.mark.parametrize(
    ("item", "name", "becomes"),
    [
        ({"prompt": "x"}, "style", True),
        ({"prompt": "x", "mode": "video"}, "style", False),
        ({"prompt": "x", "mode": "video"}, "fps", True),
        ({"prompt": "x"}, "fps", False),
        ({"prompt": "x", "reference_images": ["a.png"]}, "transport", True),
        ({"task": "outpaint_image", "image": "a.png"}, "left", True),
        ({"task": "generate_image", "prompt": "x"}, "left", False),
        ({"task": "generate_consistent_media", "prompt": "x"}, "transport", True),
        ({"task": "no_such_task"}, "style", False),
        ({"prompt": "x"}, "provider", True),
        ({"prompt": "x"}, "filename", True),
        ({"size": "1x1"}, "prompt", True),
        ({"prompt": "x"}, "task", True),
        ({"prompt": "x"}, "labels", False),
        ({"prompt": "x"}, "vars", False),
    ],
)
def test_only_fields_of_the_items_task_are_set(
    item: dict[str, Any], name: str, becomes: bool
) -> None:
    if becomes and name == "fps":
        assert values(item, matrix={name: [5]})[0][name] == 5
    elif name == "labels":
        assert values(item, matrix={name: ["v"]})[0]["labels"] == {"labels": "v"}
    else:
        assert (name in values(item, matrix={name: ["v"]})[0]) is becomes


def test_a_mode_of_the_matrix_decides_what_is_made() -> None:
    made = values({"prompt": "a {mode}"}, matrix={"mode": ["image", "video"], "fps": [5]})
    assert made[0]["prompt"] == "a image"
    assert "fps" not in made[0]
    assert made[1] == {
        "prompt": "a video",
        "mode": "video",
        "fps": 5,
        "labels": {"mode": "video", "fps": 5},
    }


def test_an_item_that_is_no_good_is_not_multiplied() -> None:
    made = list(expand({"a": [1, 2]}, entries_of([7, {"prompt": "x"}]), {}))
    assert [(one.index, one.value is None) for one in made] == [(1, True), (2, False), (3, False)]


def test_too_many_items_are_told_with_their_number_before_any_is_made() -> None:
    entries = [Entry({"prompt": "x"})] * 4 + [Entry(None, ItemFault("invalid_json", "no"))]
    with pytest.raises(TooManyItems, match="13 items come of it; 12 may be"):
        expand({"a": [1, 2, 3]}, entries, {}, most=12)
    assert len(list(expand({"a": [1, 2, 3]}, entries, {}, most=13))) == 13


def test_a_stream_of_items_ends_where_there_are_too_many() -> None:
    made = expand(None, iter([Entry({"prompt": "x"})] * 3), {}, most=2)
    assert [next(made).index, next(made).index] == [1, 2]
    with pytest.raises(TooManyItems, match="more than 2"):
        next(made)


def test_a_matrix_that_is_too_large_is_refused_at_once() -> None:
    with pytest.raises(TooManyItems, match=r"1000 x 1000 = 1,000,000 combinations; 100,000 may"):
        expand({"a": [0] * 1000, "b": [0] * 1000}, iter([]), {})


# ---------------------------------------------------------------- as the old skill took it


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), (" 7\n", 7), ("-1", -1), ("2.5", 2.5), ("seven", "seven"), ("", ""), ("1e9", "1e9")],
)
def test_the_text_of_a_number_is_that_number(text: str, number: Any) -> None:
    made = number_of(text)
    assert made == number
    assert type(made) is type(number)


def test_a_number_may_come_out_of_a_name() -> None:
    (made,) = values({"prompt": "{seed}", "seed": "{seed}", "n": "2", "extra": {"n": "2"}}, seed=7)
    assert made == {"prompt": "7", "seed": 7, "n": 2, "extra": {"n": "2"}}


def test_the_fields_that_hold_numbers_are_those_of_the_models() -> None:
    kinds: dict[str, set[str]] = {}
    models = [handler.request for handler in find_handlers().values()]
    for model in [*models, Envelope]:
        properties = model.model_json_schema()["properties"]
        for name, schema in properties.items():
            branches = schema.get("anyOf", [schema])
            kinds.setdefault(name, set()).update(str(one.get("type")) for one in branches)
        for alias, name in model.ALIASES.items():
            kinds.setdefault(alias, set()).update(kinds[name])
    numbers = {name for name, found in kinds.items() if found <= {"integer", "number", "null"}} - {
        "null"
    }
    assert numbers == NUMBERS


def test_the_shared_fields_are_those_of_the_envelope() -> None:
    envelope = {*Envelope.model_fields, *Envelope.ALIASES, "task", "download"}
    assert set(SHARED) == envelope - {"labels", "after", "vars", "vars_json"}


@given(
    st.dictionaries(
        st.sampled_from(["reference_image", "reference_images", "consistent", "mode", "prompt"]),
        st.sampled_from(["video", "image", True, False, None, "", [], ["a.png"]]),
    )
)
def test_an_item_is_routed_as_the_door_does_it(item: dict[str, Any]) -> None:
    assert routed(item) == infer_task(item)


def test_what_is_null_was_not_given() -> None:
    assert values({"prompt": "x", "seed": None, "provider": None}) == [{"prompt": "x"}]


def test_what_only_printed_is_left_out() -> None:
    assert values({"prompt": "x", "print_json": True}) == [{"prompt": "x"}]


def test_the_old_skill_took_the_first_of_two_spellings_of_references() -> None:
    item = {"prompt": "x", "reference_image": "a.png", "reference_images": ["b.png"]}
    assert values(item) == [{"prompt": "x", "reference_images": ["b.png"]}]


def test_a_configuration_is_not_for_an_item_to_choose() -> None:
    told = fault({"prompt": "x", "config": "~/other.json"})
    assert told.pointer == "/config"
    assert "name one of the providers" in told.message


def test_a_batch_is_no_item_of_a_batch() -> None:
    told = fault({"task": "generate_batch_media", "items": []})
    assert told.pointer == "/task"
    assert "a batch is no item of a batch" in told.message


@pytest.mark.parametrize("text", ['{"a":{"b":"{name}"}}', '{"a": {"b": "{name}"}}'])
def test_json_text_keeps_its_braces_and_names_in_it_are_filled_in(text: str) -> None:
    (made,) = values({"prompt": "x", "extra_json": text}, name="cup")
    extra = made["extra_json"]
    assert (extra if isinstance(extra, dict) else json.loads(extra)) == {"a": {"b": "cup"}}


@pytest.mark.parametrize("text", ['{"n": {n}}', "{{n}}", '{"a":1,"a":{"n":1}}', '"{{"'])
def test_text_that_is_no_json_object_is_text(text: str) -> None:
    (made,) = values({"prompt": "x", "extra_json": text}, n=5)
    assert isinstance(made["extra_json"], str)


# ---------------------------------------------------------------- all of it


def test_lines_keep_their_numbers_through_the_matrix() -> None:
    data = b'{"prompt":"{a}"}\nno\n\n{"prompt":"{a}"}\n'
    made = list(expand({"a": ["x", "y"]}, items_in(data, "m.jsonl"), {}))
    assert [(one.index, one.line, one.value is None) for one in made] == [
        (1, 1, False),
        (2, 1, False),
        (3, 2, True),
        (4, 4, False),
        (5, 4, False),
    ]


def test_the_items_of_a_file_come_one_at_a_time() -> None:
    def endless() -> Iterator[Entry]:
        while True:
            yield Entry({"prompt": "{index}"})

    made = expand(None, endless(), {}, most=10**9)
    assert next(made).value == {"prompt": "1"}


def test_shared_names_of_any_size_cost_each_item_nothing() -> None:
    names = {f"name_{number}": "x" * 100 for number in range(20_000)}
    began = time.process_time()
    made = list(expand(None, [Entry({"prompt": "{name_7}"})] * 2_000, names))
    assert len(made) == 2_000
    assert time.process_time() - began < 2


leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
written_items = st.dictionaries(
    st.sampled_from(["prompt", "mode", "task", "seed", "labels", "extra_json", "x", "vars"]),
    leaves
    | st.lists(leaves, max_size=2)
    | st.dictionaries(st.text(max_size=3), leaves, max_size=2),
)


@given(
    st.lists(written_items | leaves, max_size=4),
    st.dictionaries(
        st.sampled_from(["size", "a", "labels"]), st.lists(leaves, min_size=1, max_size=2)
    ),
    st.dictionaries(st.text(max_size=4), leaves),
)
def test_whatever_is_written_each_item_is_a_request_or_a_fault(
    written: list[Any], matrix: dict[str, Any], names: dict[str, Any]
) -> None:
    before = json.dumps([written, matrix, names])
    made = list(expand(matrix, entries_of(written), names))
    assert [one.index for one in made] == list(range(1, len(made) + 1))
    for one in made:
        assert (one.value is None) == (one.fault is not None)
        assert one.value is None or "vars" not in one.value
        json.dumps(one.value)
    assert json.dumps([written, matrix, names]) == before
