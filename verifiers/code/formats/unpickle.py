"""The text inside LiveCodeBench's private tests: base64 -> zlib -> pickle. No pickle is ever loaded.

A pickle is a program for a small machine that can call any function. One that holds a text alone needs none of that:
the opcodes are listed by `pickletools`, which runs nothing, and any but those that write down one text are refused.
"""

from __future__ import annotations

import base64
import binascii
import pickletools
import zlib

MAX_ENCODED = 192 << 20
MAX_BYTES = 256 << 20
"""Of the text. A few hundred kilobytes can be made to inflate to gigabytes."""
_TEXTS = frozenset({"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"})
_HARMLESS = frozenset({"PROTO", "FRAME", "MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT", "STOP"})


def packed_text(encoded: str) -> str:
    """The text. Raises ValueError if the encoded text is too long or is anything else."""
    if len(encoded) > MAX_ENCODED:
        raise ValueError(f"longer than {MAX_ENCODED >> 20} MB")
    try:
        compressed = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("neither JSON nor base64") from None
    return pickled_text(inflated(compressed))


def inflated(compressed: bytes) -> bytes:
    """The bytes that zlib compressed, MAX_BYTES at most. Raises ValueError."""
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(compressed, MAX_BYTES)
    except zlib.error as error:
        raise ValueError(f"not compressed by zlib ({error})") from None
    if stream.unconsumed_tail:
        raise ValueError(f"inflates to more than {MAX_BYTES >> 20} MB")
    if not stream.eof:
        raise ValueError("cut off in the middle")
    return data


def pickled_text(data: bytes) -> str:
    """The text that a pickle holds. Raises ValueError if it holds anything but one text."""
    texts: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in _TEXTS and not texts:
                texts.append(str(argument))
            elif opcode.name not in _HARMLESS:
                raise ValueError(f"the pickle does more than hold one text (opcode {opcode.name})")
    except (ValueError, UnicodeError, IndexError) as error:
        raise ValueError(f"not a pickle of one text: {str(error)[:80]}") from None
    if not texts:
        raise ValueError("a pickle without a text")
    return texts[0]
