"""stub"""

from collections.abc import Mapping

from handlers.contract import Description, Json


def signed(data: bytes, description: Description, origin: Mapping[str, Json], by: str) -> bytes:
    return data
