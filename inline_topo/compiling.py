"""What the compiler of the packet path (mypyc) is told; without it, nothing."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from mypy_extensions import i64 as i64
    from mypy_extensions import mypyc_attr as mypyc_attr
else:
    i64 = int  # a machine's number, once compiled
    _Class = TypeVar("_Class")

    def mypyc_attr(**attributes: object) -> Callable[[_Class], _Class]:
        """The class as it is: a package that runs as it is written does without mypy_extensions."""
        return lambda it: it
