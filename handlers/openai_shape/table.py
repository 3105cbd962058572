"""The table of dialects: every server of the OpenAI shape whose differences are known.

Each row was drawn up from the server's own specification or source, read in 2026; what no source
says stands in its `unverified`. `docs/providers.md` is written from it.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from urllib.parse import urlsplit

from handlers.contract import HandlerError
from handlers.openai_shape.dialects import Dialect, Videos
from handlers.openai_shape.room import MB, MIB, Room
from handlers.wire import Entry

_OPENAI_FIELDS = frozenset(
    {"prompt", "size", "quality", "style", "background", "n", "output_format"}
)
_OPENAI_ROOM = Room(picture=50 * MB, mask=4 * MB, url=20 * MIB)
_AS_BASE64 = MappingProxyType({"response_format": "b64_json"})

COMPATIBLE = Dialect(
    name="compatible",
    title="any other server of the OpenAI shape",
    example="http://127.0.0.1:4000/v1",
    videos=Videos(pictures="free"),
    notes=(
        "Every field that is given is sent, because nobody knows what the server takes.",
        (
            "Reference pictures go along as data URLs in the field `reference_images`, or in the "
            "one that `reference_key` names."
        ),
        (
            "The picture of a clip goes along as the file `input_reference` of a form; with "
            "`image_field`, or with the mode `animate` or `reference`, as a data URL in JSON."
        ),
    ),
    unverified=(
        "Whether a server reads masks as OpenAI does is its own affair; most do.",
        (
            "A job is asked for at the address that the answer names, else at "
            "`/images/generations/{id}` or `/videos/{id}`."
        ),
    ),
)
OPENAI = Dialect(
    name="openai",
    title="OpenAI",
    example="https://api.openai.com/v1",
    hosts=("api.openai.com",),
    fields=_OPENAI_FIELDS,
    geometry="openai",
    references_edit=True,
    most_pictures=16,
    room=_OPENAI_ROOM,
    key_check="/models",
    limits=(
        "1 to 10 pictures a call, and at most 16 to edit.",
        "A picture to edit: PNG, WebP or JPEG; a mask: PNG.",
        (
            "Sizes: 1024x1024, 1536x1024, 1024x1536 or auto; gpt-image-2 takes any with sides "
            "divisible by 16, from 1:3 to 3:1, up to 3840x2160."
        ),
    ),
    notes=(
        "It takes no `seed`, `negative_prompt` or `aspect_ratio`.",
        (
            "An `aspect_ratio` becomes a `size` where one of just that shape exists, else it is "
            "left out with a warning."
        ),
        "Its clips were shut down on 2026-09-24.",
    ),
    unverified=("What gpt-image-2.5 and 2.6 take beyond the fields of gpt-image-2.",),
)
AZURE = Dialect(
    name="azure",
    title="Azure OpenAI",
    example="https://NAME.openai.azure.com",
    hosts=("openai.azure.com", "cognitiveservices.azure.com", "services.ai.azure.com"),
    fields=_OPENAI_FIELDS,
    geometry="openai",
    references_edit=True,
    most_pictures=16,
    room=_OPENAI_ROOM,
    key_header="api-key",
    key_prefix="",
    models_are_all=False,
    key_check="/models",
    limits=OPENAI.limits,
    notes=(
        "The model is the name of the deployment.",
        "`api_version` and `deployment` may be set in `options`.",
        "A base URL that ends in `/openai/v1` is spoken to without deployments.",
    ),
    unverified=("Which `api-version` a resource takes: set the one that its portal shows.",),
)
LOCALAI = Dialect(
    name="localai",
    title="LocalAI",
    example="http://127.0.0.1:8080/v1",
    names=("localai",),
    edit="/images/inpainting",
    fields=frozenset({"prompt", "size", "quality", "n", "seed", "negative_prompt"}),
    defaults=_AS_BASE64,
    prompts="localai",
    edits="localai",
    references_edit=True,
    mask="white",
    room=Room(body=15 * MB, webp=False),
    limits=(
        "One picture and one mask for inpainting; of several pictures the mask is not sent.",
        "Inpainting takes no field but the prompt, and answers with 512 x 512 pixels.",
        "Requests: `--upload-limit` of the server, 15 MB unless it is set.",
    ),
    notes=(
        (
            "It has no `/images/edits`: with a mask a picture goes to `/images/inpainting`, "
            "without one it goes along with a generation."
        ),
        "It takes a `|` in a prompt for the beginning of the negative prompt.",
        "Its clips (`POST /video`) are not asked for yet.",
    ),
)
SDCPP = Dialect(
    name="sdcpp",
    title="stable-diffusion.cpp's server",
    example="http://127.0.0.1:1234/v1",
    names=("sdcpp", "sdcppserver", "stablediffusioncpp"),
    fields=frozenset({"prompt", "size", "n", "output_format", "seed", "negative_prompt"}),
    prompts="sdcpp",
    one_picture="image[]",
    references_edit=True,
    mask="white",
    notes=(
        (
            "`seed` and `negative_prompt` go along as `<sd_cpp_extra_args>` behind the prompt, "
            "which the server takes off again."
        ),
        "LoRA tags in the prompt do nothing there.",
        "It makes a mask two-valued itself (`docs/lanpaint.md`).",
    ),
)
VLLM_OMNI = Dialect(
    name="vllm-omni",
    title="vLLM-omni",
    example="http://127.0.0.1:8000/v1",
    names=("vllm", "vllmomni"),
    fields=frozenset({"prompt", "size", "n", "seed", "negative_prompt"}),
    references_edit=True,
    mask="white",
    mask_name="mask_image",
    videos=Videos(
        fields=frozenset({"prompt", "size", "seconds", "fps", "seed", "negative_prompt"}),
        form_alone=True,
    ),
    limits=("1 to 10 pictures a call.", "One picture for a clip."),
    notes=(
        "A mask is called `mask_image` there; a model that cannot inpaint may take no notice.",
        "A call for a clip is a form there, also without a picture.",
    ),
)
SGLANG = Dialect(
    name="sglang",
    title="SGLang diffusion",
    example="http://127.0.0.1:30000/v1",
    names=("sglang",),
    fields=_OPENAI_FIELDS | {"seed", "negative_prompt"},
    defaults=_AS_BASE64,
    unless_given=MappingProxyType(
        {
            "seed": "SGLang takes 1024 for a seed unless one is given: the same prompt makes the "
            "same picture"
        }
    ),
    references_edit=True,
    mask=None,
    videos=Videos(
        fields=frozenset({"prompt", "size", "seconds", "fps", "seed", "negative_prompt"}),
        length_is_text=False,
    ),
    limits=("One picture for a clip.",),
    notes=("It takes a mask and makes no use of it, so none is sent.",),
)
TOGETHER = Dialect(
    name="together",
    title="Together",
    example="https://api.together.xyz/v1",
    hosts=("api.together.xyz", "api.together.ai"),
    names=("together",),
    fields=frozenset(
        {"prompt", "width", "height", "n", "seed", "negative_prompt", "output_format"}
    ),
    defaults=MappingProxyType({"response_format": "base64"}),
    geometry="pixels",
    edit=None,
    edits=None,
    mask=None,
    videos=Videos(
        create="/v2/videos",
        poll="/v2/videos/{id}",
        content=None,
        fields=frozenset(
            {
                *("prompt", "width", "height", "resolution", "seconds", "fps", "seed"),
                "negative_prompt",
            }
        ),
        pictures=None,
    ),
    limits=(
        "No edits, and pictures along with a prompt only by `reference_key`.",
        "`output_format`: jpeg or png.",
    ),
    notes=("`size` becomes `width` and `height`.",),
    unverified=("The `/v2` of its clips, and where their address stands in the answer.",),
    untried=frozenset({"generate_video"}),
)
XAI = Dialect(
    name="xai",
    title="xAI",
    example="https://api.x.ai/v1",
    hosts=("api.x.ai",),
    names=("xai", "grok"),
    fields=frozenset({"prompt", "aspect_ratio", "quality", "n"}),
    defaults=_AS_BASE64,
    geometry="ratio",
    edits="xai",
    references_edit=True,
    mask=None,
    most_pictures=5,
    room=Room(picture=10 * MIB),
    key_check="/models",
    videos=Videos(
        create="/videos/generations",
        content=None,
        fields=frozenset({"prompt", "aspect_ratio", "resolution", "duration"}),
        length="duration",
        length_is_text=False,
        pictures="xai",
        most_references=7,
    ),
    limits=(
        "1 to 10 pictures a call, and at most 5 to edit.",
        "A picture to edit: PNG, JPEG or WebP.",
        "Clips: 1 to 15 seconds; of one first frame, or after at most 7 references.",
    ),
    notes=(
        (
            "It takes no `size`, but an `aspect_ratio`: a `size` of one of its shapes becomes that "
            "shape, with a warning."
        ),
        "A picture that its moderation replaced counts as refused.",
    ),
    unverified=("How many pictures an edit may have: 3 or 5.", "How long its addresses live."),
)
OPENROUTER = Dialect(
    name="openrouter",
    title="OpenRouter",
    example="https://openrouter.ai/api/v1",
    hosts=("openrouter.ai",),
    names=("openrouter",),
    generate="/images",
    edit="/images",
    job="/images/{id}",
    fields=(_OPENAI_FIELDS - {"style"}) | {"aspect_ratio", "seed"},
    edits="references",
    references_edit=True,
    mask=None,
    models="/models?output_modalities=all",
    key_check="/key",
    videos=Videos(
        content="/videos/{id}/content?index=0",
        fields=frozenset({"prompt", "duration", "resolution", "aspect_ratio", "size", "seed"}),
        length="duration",
        length_is_text=False,
        pictures="openrouter",
    ),
    limits=(
        "1 to 10 pictures a call, but some models make one.",
        (
            "A clip may have a first frame, a last frame, and references; beside frames these do "
            "not count."
        ),
    ),
    notes=('Models that make pictures only in a chat need `options = {images = "chat"}`.',),
)
DIALECTS = MappingProxyType(
    {
        dialect.name: dialect
        for dialect in (
            *(OPENAI, AZURE, OPENROUTER, XAI, TOGETHER),
            *(LOCALAI, SDCPP, VLLM_OMNI, SGLANG, COMPATIBLE),
        )
    }
)
"""Every dialect, by the name that `dialect` has in a configuration."""


def dialect_of(entry: Entry) -> Dialect:
    """Which dialect an entry speaks: the one it names, else the one of its host, else the one of
    its name, else whatever a compatible server takes.

    Raises:
        HandlerError: `config_invalid`: it names one that nobody knows.
    """
    if entry.dialect is not None:
        if entry.dialect not in DIALECTS:
            raise HandlerError(
                "config_invalid",
                f"the provider {entry.name} names a dialect that is not known: {entry.dialect}",
                hints=[f"Dialects are: {', '.join(DIALECTS)}."],
            )
        return DIALECTS[entry.dialect]
    if entry.api == "azure-openai-responses":
        return AZURE
    host = urlsplit(entry.base_url).hostname or ""
    name = re.sub(r"[^a-z0-9]", "", entry.name.lower())
    by_host = (one for one in DIALECTS.values() if any(_is_below(host, at) for at in one.hosts))
    by_name = (one for one in DIALECTS.values() if name in one.names)
    return next(by_host, None) or next(by_name, COMPATIBLE)


def _is_below(host: str, other: str) -> bool:
    return host == other or host.endswith(f".{other}")
