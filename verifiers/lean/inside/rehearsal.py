"""Has Lean import a module once before there are children.

An import marks what Lean has built when it was initialised as shared for ever, which writes to every object of it, and
makes tables that stay. After a fork each child would do so again, and each page that it writes to is copied.

The functions of Lean's library that are called here are no public interface. They are those of Lean 4.35, which the
caller has made sure of: another release may crash.
"""

from __future__ import annotations

import ctypes

_TRUST_ALL = 1024
"""The trust level of `lean` itself."""
_PRIVATE = 2
"""`OLeanLevel.private`: all of a module is loaded."""
_OBJECT = ctypes.c_void_p


def _boxed(number: int) -> int:
    return number << 1 | 1


_NOTHING = _boxed(0)
"""`none`, `()` and the world."""
_NO_ENTRIES = _boxed(1)
"""An empty `NameMap`."""


def rehearse_import(lean: ctypes.CDLL, module: str) -> None:
    """Imports a module that LEAN_PATH leads to, as `lean` does for a file. Raises OSError with Lean's own words on the
    standard error.

    Nothing of it is used again. Lean has no threads yet, and has none afterwards.
    """
    for name in ("lean_mk_string", "l_Array_mkEmpty___boxed", "lean_init_search_path", "lean_environment_free_regions"):
        getattr(lean, name).restype = _OBJECT
    lean.lean_mk_string.argtypes = (ctypes.c_char_p,)
    parse, load = lean.l_Lean_Elab_parseImports___boxed, lean.l_Lean_importModules___boxed
    parse.restype = load.restype = _OBJECT
    parse.argtypes, load.argtypes = (_OBJECT,) * 3, (_OBJECT,) * 9
    lean.lean_io_mark_end_initialization()
    lean.lean_enable_initializer_execution(_OBJECT(_NOTHING))  # as `lean` does; without it nothing is imported
    _value(lean, lean.lean_init_search_path(_OBJECT(_NOTHING)), "search path")
    header = lean.lean_mk_string(f"prelude\nimport {module}\n".encode())
    imports = _field(_value(lean, parse(header, _NOTHING, _NOTHING), "header"), 0)
    options = _OBJECT.in_dll(lean, "l_Lean_Options_empty").value
    plugins = lean.l_Array_mkEmpty___boxed(_OBJECT(_NOTHING), _OBJECT(_NOTHING))
    is_leaked = has_extensions = _boxed(1)
    loaded = load(
        imports,
        options,
        _boxed(_TRUST_ALL),
        plugins,
        is_leaked,
        has_extensions,
        _boxed(_PRIVATE),
        _NO_ENTRIES,
        _NOTHING,
    )
    environment = _value(lean, loaded, "import")
    # Each child finds the module's own place in memory free, and maps its file there.
    _value(lean, lean.lean_environment_free_regions(_OBJECT(environment), _OBJECT(_NOTHING)), "release")


def _value(lean: ctypes.CDLL, result: int, what: str) -> int:
    """What an `IO` function has returned. Marked as shared for ever, so that nobody has to count who holds it."""
    lean.lean_mark_persistent(_OBJECT(result))
    if ctypes.string_at(result, 8)[7] != 0:  # the constructor: ok is 0, error 1
        lean.lean_io_result_show_error(_OBJECT(result))
        raise OSError(f"Lean could not rehearse: {what}")
    return _field(result, 0)


def _field(constructed: int, place: int) -> int:
    """A field of a constructor: behind 8 bytes of counts and kinds stand pointers."""
    return int(_OBJECT.from_address(constructed + 8 * (place + 1)).value or 0)
