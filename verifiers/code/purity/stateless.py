"""What a program may take from Python and its library and still keep nothing from one call to the next.

VALUES cannot be changed: built-in functions, types written in C, constants. They may stand anywhere.
CALLEES are written in Python, so that an attribute could be set on them: they may be called, and nothing else.
HINTS stand in annotations.

None of the functions hands out an object that it keeps, reads the clock or the machine, or looks an attribute up by a
text. A test sets an attribute on each of VALUES in vain.
"""

from __future__ import annotations

from collections.abc import Mapping


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _table(**lines: str) -> Mapping[str, frozenset[str]]:
    return {module.replace("__", "."): _names(names) for module, names in lines.items()}


BUILT_INS = _names(
    """
    abs all any ascii bin bool bytearray bytes callable chr complex dict divmod enumerate filter float format frozenset
    hex int isinstance issubclass iter len list map max min next oct ord pow range repr reversed round set slice sorted
    str sum tuple zip NotImplemented Ellipsis
    ArithmeticError AssertionError AttributeError BaseException EOFError Exception IndexError KeyError LookupError
    NotImplementedError OverflowError RecursionError RuntimeError StopIteration TypeError ValueError ZeroDivisionError
    """
)

VALUES = _table(
    bisect="bisect bisect_left bisect_right insort insort_left insort_right",
    cmath="acos asin atan cos cosh e exp inf infj isclose isfinite isinf isnan log log10 nan phase pi polar rect sin "
    "sinh sqrt tan tanh tau",
    collections="OrderedDict defaultdict deque",
    decimal="Decimal ROUND_CEILING ROUND_DOWN ROUND_FLOOR ROUND_HALF_DOWN ROUND_HALF_EVEN ROUND_HALF_UP ROUND_UP",
    functools="cmp_to_key reduce",
    hashlib="md5 sha1 sha256 sha512",
    heapq="heapify heappop heappush heappushpop heapreplace",
    itertools="accumulate chain combinations combinations_with_replacement compress count cycle dropwhile filterfalse "
    "groupby islice pairwise permutations product repeat starmap takewhile tee zip_longest",
    math="acos acosh asin asinh atan atan2 atanh cbrt ceil comb copysign cos cosh degrees dist e erf erfc exp exp2 "
    "expm1 fabs factorial floor fmod frexp fsum gamma gcd hypot inf isclose isfinite isinf isnan isqrt lcm ldexp "
    "lgamma log log10 log1p log2 modf nan nextafter perm pi pow prod radians remainder sin sinh sqrt tan tanh tau "
    "trunc ulp",
    operator="abs add and_ concat contains eq floordiv ge getitem gt iadd imul index invert isub itemgetter le lshift "
    "lt mod mul ne neg not_ or_ pos pow rshift sub truediv truth xor",
    string="ascii_letters ascii_lowercase ascii_uppercase digits hexdigits octdigits printable punctuation whitespace",
    sys="maxsize",
)

CALLEES = _table(
    collections="Counter namedtuple",
    copy="copy deepcopy",
    fractions="Fraction",
    heapq="merge nlargest nsmallest",
    re="compile escape findall finditer fullmatch match search split sub subn",
    statistics="fmean geometric_mean harmonic_mean mean median median_high median_low mode multimode pstdev pvariance "
    "stdev variance",
    string="capwords",
    typing="Counter DefaultDict Deque OrderedDict",
)

AT_START = frozenset({("sys", "setrecursionlimit")})
"""They change what all calls see, so that they may be called before the calls alone."""

NESTED_DECORATORS = frozenset({("functools", "cache"), ("functools", "lru_cache")})
"""Of a function within a function: the cache ends with the call."""

HINTS = _table(
    typing="Any Callable Collection Counter DefaultDict Deque Dict FrozenSet Generator Iterable Iterator List Literal "
    "Mapping NamedTuple NoReturn Optional Sequence Set Text Tuple Type TypeVar Union",
    collections__abc="Callable Generator Iterable Iterator Mapping Sequence",
)

STAR_IMPORTS = _names(
    "bisect builtins collections copy datetime functools heapq io itertools json math operator random re statistics "
    "string sys typing"
)
"""Modules of the library that are imported here too, to see which names they bind: those of LiveCodeBench's prelude."""

CALLERS: Mapping[tuple[str, str], int | None] = {
    ("", "map"): 0,
    ("", "filter"): 0,
    ("", "sorted"): None,
    ("", "min"): None,
    ("", "max"): None,
    ("functools", "cmp_to_key"): 0,
    ("functools", "reduce"): 0,
    ("heapq", "nlargest"): None,
    ("heapq", "nsmallest"): None,
    ("itertools", "accumulate"): 1,
    ("itertools", "dropwhile"): 0,
    ("itertools", "filterfalse"): 0,
    ("itertools", "groupby"): 1,
    ("itertools", "starmap"): 0,
    ("itertools", "takewhile"): 0,
    ("re", "sub"): 1,
}
"""They call the function that they are given at this position, or as `key` or `func`, and never give it back."""

READERS = _names("all any dict enumerate frozenset iter len list map max min reversed set sorted str sum tuple zip")
"""Built-in functions that read a list or dict and do not return it. Its items must be constants."""

READING_METHODS = _names("copy count get index items keys values")

METHODS = _names(
    """
    __init__ __repr__ __str__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __hash__ __len__ __bool__ __iter__ __next__
    __contains__ __getitem__ __setitem__ __delitem__ __call__ __add__ __radd__ __sub__ __rsub__ __mul__ __rmul__
    __truediv__ __floordiv__ __mod__ __pow__ __neg__ __abs__ __and__ __or__ __xor__
    """
)
"""Special methods that a class may define. None of them is called with a class, as `__new__` and `__exit__` are."""

HIDDEN_ATTRIBUTES = ("__", "gi_", "cr_", "ag_", "f_", "tb_", "co_", "_field_defaults")
"""Beginnings of the names of attributes that lead to frames, code, classes, and to a dict of a class by namedtuple."""
