"""Whether the Hugging Face hub can be reached at all. Its library would try for half a minute before it says so."""

from __future__ import annotations

import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

TRIES, PAUSE_S, PATIENCE_S = 3, 0.7, 2.0


class HubUnreachable(ConnectionError):
    """The hub's name is not known, or nothing listens there."""


def hub_is_reachable() -> bool:
    """False where the hub's name cannot be resolved, or its address refuses a connection or has no route, three times
    in a row. A network that is slow, or a proxy, is left to the library.
    """
    from huggingface_hub import constants

    address = urlsplit(constants.ENDPOINT)
    host = address.hostname or ""
    behind_proxy = address.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host)
    if constants.HF_HUB_OFFLINE or behind_proxy or not host:
        return True  # the library answers at once, or asks the proxy
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE_S)
        try:
            with socket.create_connection((host, address.port or _port(address.scheme)), timeout=PATIENCE_S):
                return True
        except TimeoutError:
            return True
        except (OSError, UnicodeError):  # UnicodeError: a host that is not a name
            continue
    return False


@contextmanager
def no_waiting_for_the_hub(*, asks: bool) -> Iterator[None]:
    """Where the hub cannot be reached, huggingface_hub reads its cache alone, without a second try.

    Args:
        asks: whether the code inside may ask the hub at all.

    Raises:
        HubUnreachable: for a file that is not in the cache, in place of the library's error.
    """
    if not asks or hub_is_reachable():
        yield
        return
    from huggingface_hub import constants, errors

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    except (OSError, ValueError) as error:
        if _is_caused_by(error, (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled)):
            raise HubUnreachable(f"{constants.ENDPOINT} cannot be reached") from error
        raise
    finally:
        constants.HF_HUB_OFFLINE = before


def _port(scheme: str) -> int:
    return 80 if scheme == "http" else 443


def _is_caused_by(error: BaseException, kinds: tuple[type[BaseException], ...]) -> bool:
    link: BaseException | None = error
    seen: list[BaseException] = []
    while link is not None and link not in seen:
        if isinstance(link, kinds):
            return True
        seen.append(link)
        link = link.__cause__ or link.__context__
    return False
