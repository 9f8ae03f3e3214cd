"""A module that Lean has imported before there are children, and texts that are elaborated on top of it.

An import is most of what a small proof costs: Lean reads the module, makes tables of all that was built into it, and
marks all of it as shared for ever, which writes to every object. After a fork each child would do so again, and each
page that it writes to is copied.

Against `lean` on a file, proofs are not elaborated in tasks of their own: messages come at the end and in another
order, the compiled module may number auxiliary definitions differently, and the log of linters is not in it.

The functions of Lean's library that are called here are no public interface. They are those of Lean 4.35, which the
caller has made sure of: another release may crash. Names that end in `___boxed` take their arguments away; those of the
others are borrowed, but for what is said.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

_PRIVATE = 2
"""`OLeanLevel.private`: all of a module is loaded."""
_TRUST = 0
"""The trust level, as `importModules` has it by default."""
_OBJECT = ctypes.c_void_p
_OK = 0
"""The first constructor of `EStateM.Result`."""


def _boxed(number: int) -> int:
    return number << 1 | 1


_NOTHING = _boxed(0)
"""`none`, `()`, `false`."""
_YES = _boxed(1)
_NO_ENTRIES = _boxed(1)
"""An empty `NameMap`."""


class PreloadedModule:
    """The environment behind `prelude import MODULE`. Nothing here starts a thread before `elaborate`."""

    def __init__(self, lean: ctypes.CDLL, module: str) -> None:
        """Imports a module that LEAN_PATH leads to, as `lean` does for a file. Raises OSError, with Lean's own words on
        the standard error; AttributeError for a library that lacks a function.
        """
        self._lean = lean
        lean.lean_mk_string_from_bytes.restype = _OBJECT
        lean.lean_mk_string_from_bytes.argtypes = (ctypes.c_char_p, ctypes.c_size_t)
        self._process = self._function("l_Lean_Elab_process___boxed", 4)
        self._has_errors = self._function("l_Lean_MessageLog_hasErrors", 1, ctypes.c_uint8)
        self._messages = self._function("l_Lean_MessageLog_toArray", 1)
        assert lean.l_Lean_MessageLog_toArray___boxed, "there is one where the other borrows its argument"
        self._to_json = self._function("l_Lean_Message_toJson___boxed", 1)
        self._compress = self._function("l_Lean_Json_compress", 1)  # takes it away
        self._write = self._function("l_Lean_writeModule___boxed", 3)
        self._name = self._function("lean_name_mk_string", 2)  # takes them away
        self._set_module = self._function("l_Lean_Environment_setMainModule", 2)  # takes them away
        self._free_regions = self._function("lean_environment_free_regions", 1)
        self._max_memory_mb = lean._ZN4lean23set_max_memory_megabyteEj
        self._options = _OBJECT.in_dll(lean, "l_Lean_Options_empty").value
        lean.lean_io_mark_end_initialization()
        self._function("lean_enable_initializer_execution", 1)(_NOTHING)  # as `lean` does; nothing is imported without
        self._kept_result(self._function("lean_init_search_path", 1)(_NOTHING))
        parse = self._function("l_Lean_Elab_parseImports___boxed", 2)
        imports = _field(self._kept_result(parse(self._text(f"prelude\nimport {module}\n".encode()), _NOTHING)), 0)
        plugins = self._function("l_Array_mkEmpty___boxed", 2)(_NOTHING, _NOTHING)
        load = self._function("l_Lean_importModules___boxed", 8)
        is_leaked = has_extensions = _YES
        self._environment = self._kept_result(
            load(
                imports,
                self._options,
                _boxed(_TRUST),
                plugins,
                is_leaked,
                has_extensions,
                _boxed(_PRIVATE),
                _NO_ENTRIES,
            )
        )

    def elaborate(
        self, text: bytes, module: str, output: str, say: Callable[[bytes], object], *, memory_mb: int, stack_kb: int
    ) -> int:
        """The exit status of `lean`: 0, or 1 for a text with errors. Raises OSError where Lean itself fails.

        Args:
            text: UTF-8, without imports, and with a command.
            module: the name of the module that it is.
            output: where the compiled module is written, if there are no errors; empty for nowhere.
            say: takes each message as JSON, in one line.
            memory_mb: above which Lean ends with an error.
            stack_kb: of Lean's threads.
        """
        self._max_memory_mb(ctypes.c_uint(memory_mb))
        self._lean.lean_internal_set_thread_stack_size(ctypes.c_size_t(stack_kb << 10))
        self._lean.lean_init_task_manager_using(1)
        start = self._set_module(self._environment, self._name(_NOTHING, self._text(module.encode())))
        result = self._result(self._process(self._text(text), start, self._options, _NOTHING))
        environment, log = _field(result, 0), _field(result, 1)
        has_errors = self._has_errors(log)
        for message in _array(self._messages(log)):  # the log keeps its own hold on each
            say(_bytes(self._compress(self._to_json(message))))
        if has_errors:
            return 1
        if output:
            self._result(self._write(environment, self._text(output.encode()), _YES))
        return 0

    def free_import(self) -> None:
        """Makes room for another import of the same module, which has its own place in memory. `elaborate` is at its
        end then.
        """
        self._kept_result(self._free_regions(self._environment))

    def _function(self, name: str, arguments: int, result: Any = _OBJECT) -> Callable[..., int]:
        function = getattr(self._lean, name)
        function.restype = result
        function.argtypes = (_OBJECT,) * arguments
        return function  # type: ignore[no-any-return]

    def _text(self, data: bytes) -> int:
        return int(self._lean.lean_mk_string_from_bytes(data, len(data)))

    def _kept_result(self, result: int) -> int:
        """`_result`, marked as shared for ever, so that nobody has to count who holds it. Only before Lean has threads
        that count as well.
        """
        self._lean.lean_mark_persistent(_OBJECT(result))
        return self._result(result)

    def _result(self, result: int) -> int:
        """What an `IO` function has returned."""
        if ctypes.string_at(result, 8)[7] != _OK:
            self._lean.lean_io_result_show_error(_OBJECT(result))
            raise OSError("Lean failed")
        return _field(result, 0)


def _field(constructed: int, place: int) -> int:
    """A field of a constructor: behind 8 bytes of counts and kinds stand pointers."""
    address = _OBJECT.from_address(constructed + 8 * (place + 1)).value
    if address is None:
        raise OSError("Lean returned an object that is not laid out as expected")
    return address


def _array(array: int) -> Iterator[int]:
    """Behind 8 bytes, its size and its capacity stand pointers."""
    for place in range(ctypes.c_size_t.from_address(array + 8).value):
        yield _field(array, place + 2)


def _bytes(text: int) -> bytes:
    """Behind 8 bytes, its size with a zero at the end, its capacity and its length stand bytes."""
    return ctypes.string_at(text + 32, ctypes.c_size_t.from_address(text + 8).value - 1)
