"""The form of a value: which names and types it has at every level. Nearly all bills of a list share a handful.

So what follows from names and types alone, whether a record can be trusted and where it may name the customer, is
worked out once for a form, and not for each bill.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

FORMS_REMEMBERED = 10_000


class NonFinite(str):
    """A number that is none: NaN, Infinity, or one that nobody could store such as 1e400. Holds its text (Y10)."""

    __slots__ = ()


class DuplicateKeys(dict[str, Any]):
    """An object that names a key twice; the last value won, which may be the wrong one (Y11)."""


class Form:
    """What all values of the same names and types have in common; nearly always one object for each form.

    Attributes:
        fields: the form of each value of an object, by name; None where it is no object.
        items: the different forms in a list, in the order met.
        defect: why such a value cannot be trusted, the first thing that is wrong at any level, or None:
            `duplicate_key`: a key is there twice (Y11). `ambiguous_key`: two keys differ only in letter case, which a
            database cannot hold apart. `not_a_number`: NaN, Infinity or a number beyond any use (Y10).
    """

    __slots__ = ("defect", "fields", "items")

    def __init__(self, kind: type, fields: dict[str, "Form"] | None = None, items: Sequence["Form"] = ()) -> None:
        self.fields, self.items = fields, items
        self.defect: str | None = None
        if kind is DuplicateKeys:
            self.defect = "duplicate_key"
        elif fields and len({name.casefold() for name in fields}) < len(fields):
            self.defect = "ambiguous_key"
        elif kind is NonFinite:
            self.defect = "not_a_number"
        else:
            inner = fields.values() if fields else items
            self.defect = next((form.defect for form in inner if form.defect), None)


def form_of(value: Any) -> Form:
    """The form of a value of JSON's."""
    kind: Any = type(value)
    if kind in _OBJECTS:
        level = _level(kind, tuple(value), tuple(map(type, value.values())))
        return _object(level, *[form_of(value[name]) for name in level.boxes])
    if kind is list:
        return _list(*dict.fromkeys(map(form_of, value)))
    return _plain(kind)


_OBJECTS = frozenset[type[Any]]((dict, DuplicateKeys))
_BOXES = _OBJECTS | {list}


class _Level:
    """An object's own names and types.

    Attributes:
        boxes: names of the values that have names and types of their own.
    """

    __slots__ = ("boxes", "kind", "names", "types")

    def __init__(self, kind: type, names: tuple[str, ...], types: tuple[type, ...]) -> None:
        self.kind, self.names, self.types = kind, names, types
        self.boxes = [name for name, inner in zip(names, types, strict=True) if inner in _BOXES]


_level = lru_cache(maxsize=FORMS_REMEMBERED)(_Level)


@lru_cache(maxsize=FORMS_REMEMBERED)
def _object(level: _Level, *inner: Form) -> Form:
    boxes = iter(inner)
    forms = [next(boxes) if kind in _BOXES else _plain(kind) for kind in level.types]
    return Form(level.kind, dict(zip(level.names, forms, strict=True)))


@lru_cache(maxsize=FORMS_REMEMBERED)
def _list(*items: Form) -> Form:
    return Form(list, items=items)


@cache
def _plain(kind: type) -> Form:
    return Form(kind)
