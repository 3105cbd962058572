"""What holds for every provider that there is; a new one is tested by being there."""

import asyncio
import importlib
import inspect
import pkgutil
import re
from typing import Any

import pytest

import handlers.answers
import handlers.generic_shape
import handlers.openai_shape
import handlers.providers
from daemon.clock import SystemClock
from daemon.exchange import Means, Workbench, exchange
from daemon.net import Network
from daemon.testing import tiny_image
from handlers import find_handlers
from handlers.contract import Call, HandlerError, Medium, Outcome
from handlers.media.decoding import describe
from handlers.providers import find_adapters, find_providers
from handlers.wire import Adapter, Compute, Entry, HttpCall, Provider

PROVIDERS = find_providers()
ADAPTERS = find_adapters()
APIS = sorted(ADAPTERS)
NAMES = sorted(PROVIDERS)
MODULES = sorted(found.name for found in pkgutil.iter_modules(handlers.providers.__path__))
IMAGE_MAKERS = [name for name in NAMES if "generate_image" in PROVIDERS[name].operations]
FREE = [name for name in IMAGE_MAKERS if not PROVIDERS[name].paid]
FREE_EDITORS = [name for name in FREE if "edit_image" in PROVIDERS[name].operations]


def module_of(name: str) -> Any:
    return importlib.import_module(f"handlers.providers.{name}")


def ask(
    provider: Provider, operation: str = "generate_image", inputs: Any = None, **fields: Any
) -> Outcome:
    async def main() -> Outcome:
        workbench = Workbench(1)
        try:
            call = Call(operation, {"prompt": "x", "size": "64x64", **fields}, inputs or {})
            network = Network(max_answer_bytes=1, max_media_bytes=1)
            means = Means(workbench, network, SystemClock())
            outcome = await exchange(provider, provider.submit(call), means, 30)
            assert isinstance(outcome, Outcome)
            return outcome
        finally:
            workbench.close()

    return asyncio.run(main())


def test_every_module_of_the_folder_was_found() -> None:
    made = {type(adapter).__module__.rpartition(".")[2] for adapter in ADAPTERS.values()}
    assert set(MODULES) <= {*NAMES, *made}


@pytest.mark.parametrize("name", NAMES)
def test_a_provider_is_named_like_its_module(name: str) -> None:
    assert PROVIDERS[name].name == name
    assert module_of(name).provider().name == name


@pytest.mark.parametrize("name", NAMES)
def test_its_operations_are_tasks(name: str) -> None:
    assert PROVIDERS[name].operations
    assert set(PROVIDERS[name].operations) <= set(find_handlers())


@pytest.mark.parametrize("name", NAMES)
def test_it_says_whether_it_costs_money(name: str) -> None:
    assert isinstance(PROVIDERS[name].paid, bool)


@pytest.mark.parametrize("name", MODULES)
def test_its_module_documents_itself(name: str) -> None:
    assert len((inspect.getdoc(module_of(name)) or "").split("\n\n")) > 1


@pytest.mark.parametrize("name", NAMES)
def test_it_documents_itself(name: str) -> None:
    assert inspect.getdoc(type(PROVIDERS[name]))


@pytest.mark.parametrize("name", NAMES)
def test_it_does_nothing_before_it_is_driven(name: str) -> None:
    effects = PROVIDERS[name].submit(Call("generate_image", {}))
    assert inspect.isgenerator(effects)
    effects.close()


def sources() -> list[Any]:
    """The modules of providers, and of the packages that they share."""
    packages = [
        *(handlers.providers, handlers.answers, handlers.openai_shape),
        handlers.generic_shape,
    ]
    found = [
        f"{package.__name__}.{one.name}"
        for package in packages
        for one in pkgutil.iter_modules(package.__path__)
    ]
    return [importlib.import_module(name) for name in found]


@pytest.mark.parametrize("module", sources(), ids=lambda module: module.__name__)
def test_it_opens_no_socket_and_no_file_and_asks_for_no_time(module: Any) -> None:
    source = inspect.getsource(module)
    for word in ("daemon", "httpx", "socket", "requests", "subprocess", "asyncio", "os", "time"):
        assert not re.search(rf"^\s*(import|from) {word}\b", source, re.MULTILINE)
    assert not re.search(r"(?<![.\w])open\(", source)


@pytest.mark.parametrize("name", FREE)
def test_what_it_answers_with_can_be_decoded(name: str) -> None:
    outcome = ask(PROVIDERS[name], n=2)
    assert len(outcome.media) == 2
    assert outcome.model
    for medium in outcome.media:
        assert medium.data is not None
        described = describe(medium.data, 10**6, 10**7)
        assert (described.width, described.height) == (64, 64)
        assert described.media_type == medium.media_type


@pytest.mark.parametrize("name", FREE)
def test_the_same_call_gives_the_same_answer(name: str) -> None:
    assert ask(PROVIDERS[name], seed=3) == ask(PROVIDERS[name], seed=3)


@pytest.mark.parametrize("name", FREE_EDITORS)
def test_an_edit_that_it_answers_with_can_be_decoded_and_is_the_same_again(name: str) -> None:
    inputs = {"image": (Medium(tiny_image()),), "mask": (Medium(tiny_image()),)}
    outcome = ask(PROVIDERS[name], "edit_image", inputs, n=2)
    assert len(outcome.media) == 2
    for medium in outcome.media:
        described = describe(medium.data or b"", 10**6, 10**7)
        assert (described.width, described.height) == (64, 64)
        assert described.media_type == medium.media_type
    assert ask(PROVIDERS[name], "edit_image", inputs, n=2) == outcome


@pytest.mark.parametrize("name", FREE)
@pytest.mark.parametrize("size", ["99999x99999", "1x1", "99999x1"])
def test_a_size_that_it_cannot_make_is_a_refusal_that_no_retry_mends(name: str, size: str) -> None:
    with pytest.raises(HandlerError) as caught:
        ask(PROVIDERS[name], size=size)
    assert caught.value.code == "not_supported"


@pytest.mark.parametrize("name", FREE)
def test_a_call_is_not_changed_by_being_answered(name: str) -> None:
    fields = {"prompt": "x", "size": "64x64", "n": 1}
    call = Call("generate_image", fields)
    effects = PROVIDERS[name].submit(call)
    effects.send(None)
    effects.close()
    assert fields == {"prompt": "x", "size": "64x64", "n": 1}
    assert call == Call("generate_image", fields)


# ---------------------------------------------------------------- adapters


def made_by(api: str, **more: Any) -> Provider:
    return ADAPTERS[api].provider(Entry("mine", "https://provider.example/v1", api, **more))


@pytest.mark.parametrize("api", APIS)
def test_an_adapter_goes_by_its_names_and_documents_itself(api: str) -> None:
    adapter: Adapter = ADAPTERS[api]
    assert api in adapter.apis
    assert adapter.key_header == adapter.key_header.lower()
    assert isinstance(adapter.key_prefix, str)
    assert inspect.getdoc(type(adapter))


def test_no_two_adapters_claim_one_api(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("handlers.providers.openai")
    monkeypatch.setattr(handlers.providers, "_modules", lambda: [module, module])
    with pytest.raises(ValueError, match="two adapters claim"):
        find_adapters()


@pytest.mark.parametrize("api", APIS)
def test_what_an_adapter_makes_is_as_its_entry_says(api: str) -> None:
    free = made_by(api, paid=False, idempotency_header="idempotency-key")
    assert (free.name, free.paid, free.idempotent) == ("mine", False, True)
    made = made_by(api)
    assert (made.paid, made.idempotent) == (True, False)
    assert made.operations
    assert set(made.operations) <= set(find_handlers())
    assert inspect.getdoc(type(made))


@pytest.mark.parametrize("api", APIS)
def test_a_call_that_may_cost_money_says_so_and_goes_to_the_entrys_own_origin(api: str) -> None:
    call = Call("generate_image", {"prompt": "x"}, model="m", idempotency_key="k")
    made = made_by(api, idempotency_header="idempotency-key")
    effects = made.submit(call)
    assert inspect.isgenerator(effects)
    effect = effects.send(None)
    while isinstance(effect, Compute):
        effect = effects.send(effect.function())
    assert isinstance(effect, HttpCall)
    assert effect.creates == "image"
    assert effect.url.startswith(("/", "https://provider.example/"))
    assert effect.headers["idempotency-key"] == "k"
    assert call == Call("generate_image", {"prompt": "x"}, model="m", idempotency_key="k")
    effects.close()
