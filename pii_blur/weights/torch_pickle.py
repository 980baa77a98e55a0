"""Reads the pickles inside files of torch.save without executing anything: no class is imported, nothing is called.

Python's own unpickler runs what a pickle tells it to. This one knows the few instructions that a dictionary of tensors
needs, builds inert stand-ins, and refuses the rest. Instructions are described in the standard library's `pickletools`.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

_MOST_INSTRUCTIONS = 200_000  # a RetinaNet needs some 15,000
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, type[Any]] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_VALUES = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_NOTHING_TO_DO = {"PROTO", "FRAME"}


class Name(NamedTuple):
    """Stands for a class or function that a pickle names; never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True, slots=True)
class StorageEntry:
    """A run of numbers elsewhere in the file.

    Attributes:
        type: e.g. ``torch.FloatStorage``.
        key: its name in the file.
        count: how many numbers.
    """

    type: Name
    key: str
    count: int


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """A tensor: a window on a storage, all four as torch wrote them and not yet checked."""

    storage: StorageEntry
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_pickle(stream: BinaryIO) -> Any:
    """Read one pickle from `stream` and leave it right behind.

    Returns:
        Numbers, texts, tuples, lists and dictionaries; `TensorEntry` where torch would put a tensor.

    Raises:
        ValueError: the pickle is damaged, or holds more than a dictionary of tensors needs.
    """
    machine = _Machine()
    try:
        for number, (instruction, argument, _) in enumerate(pickletools.genops(stream)):
            if number > _MOST_INSTRUCTIONS:
                raise ValueError("it is far longer than a list of weights can be")
            if instruction.name == "STOP":
                return machine.stack.pop()
            machine.step(instruction.name, argument)
    except (IndexError, KeyError, TypeError) as error:
        raise ValueError(f"its list of contents is damaged ({type(error).__name__})") from error
    raise ValueError("its list of contents ends too early")


class _Machine:
    """The stack, the memory and the marks of a pickle in progress."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._marks: list[int] = []

    def step(self, name: str, argument: Any) -> None:
        """Do one instruction."""
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self.stack.append(_EMPTY[name]())
        elif name in _TUPLES:
            count = _TUPLES[name]
            self.stack[-count:] = [tuple(self.stack[-count:])]
        elif name not in _NOTHING_TO_DO:
            self._step_further(name, argument)

    def _step_further(self, name: str, argument: Any) -> None:
        stack = self.stack
        match name:
            case "MARK":
                self._marks.append(len(stack))
            case "TUPLE":
                stack.append(tuple(self._since_mark()))
            case "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = stack[-1]
            case "MEMOIZE":
                self._memo[len(self._memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self._memo[argument])
            case "APPEND" | "APPENDS" | "SETITEM" | "SETITEMS":
                self._fill(name)
            case _:
                self._refer(name, argument)

    def _fill(self, name: str) -> None:
        """Put what was built last into the list or dictionary before it."""
        count = {"APPEND": 1, "SETITEM": 2}.get(name)
        if count:
            values, self.stack[-count:] = self.stack[-count:], []
        else:
            values = self._since_mark()
        filled = self.stack[-1]
        if name.startswith("APPEND"):
            _as_list(filled).extend(values)
        else:
            _as_dict(filled).update(zip(values[::2], values[1::2], strict=True))

    def _refer(self, name: str, argument: Any) -> None:
        """Do what would make Python import or call something, by stand-ins."""
        stack = self.stack
        match name:
            case "GLOBAL":
                stack.append(Name(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                last, first = stack.pop(), stack.pop()
                stack.append(Name(str(first), str(last)))
            case "BINPERSID":
                stack.append(_storage(stack.pop()))
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                stack.append(_stand_in(function, arguments))
            case "BUILD":
                stack.pop()  # attributes of the dictionary, such as version numbers of layers: of no use here
            case _:
                raise ValueError(f"it holds an instruction that weights do not need ({name})")

    def _since_mark(self) -> list[Any]:
        mark = self._marks.pop()
        values = self.stack[mark:]
        del self.stack[mark:]
        return values


def _as_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("no list")
    return value


def _as_dict(value: Any) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise TypeError("no dictionary")
    return value


def _storage(reference: Any) -> StorageEntry:
    """Return what torch's reference to a storage says: ('storage', type, key, device, count[, view of another])."""
    if not (isinstance(reference, tuple) and len(reference) in (5, 6) and reference[0] == "storage"):
        raise ValueError("it refers to something that is no storage of torch")
    if len(reference) == 6 and reference[5] is not None:
        raise ValueError("one of its storages is a part of another, as only very old versions of torch wrote them")
    _, kind, key, _, count = reference[:5]
    if not (isinstance(kind, Name) and isinstance(key, str) and _is_size(count)):
        raise TypeError("no storage")
    return StorageEntry(kind, key, count)


def _stand_in(function: Any, arguments: Any) -> Any:
    """Return what takes the place of a call. PRIVACY: nothing is called, so a file from the web cannot do anything."""
    if not isinstance(arguments, tuple):
        raise TypeError("no arguments")
    match function:
        case Name("collections", "OrderedDict") if not arguments:
            return {}
        case Name("torch._utils", "_rebuild_tensor_v2") if len(arguments) >= 4:
            storage, offset, shape, strides = arguments[:4]
            numbers = (offset, *shape, *strides)
            if not isinstance(storage, StorageEntry) or not all(map(_is_size, numbers)):
                raise TypeError("no tensor")
            return TensorEntry(storage, offset, tuple(shape), tuple(strides))
        case Name("torch._utils", "_rebuild_parameter"):
            return arguments[0]
        case _:
            raise ValueError(f"it wants {function} to be called; a file of weights needs no such thing")


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40
