"""Where captures come from and go to: files, pipes, standard input and output.

Every failure of the system is a CaptureError that names the file.
"""

import contextlib
import os
import secrets
import stat
import sys
from types import TracebackType
from typing import BinaryIO, Self

from inline_topo.errors import CaptureError

_BUFFER = 1 << 18
_LARGEST_RECORD = 16 << 20  # no reader of captures that we know of takes more


class Source:
    """A capture to read forward, once; `-` is standard input."""

    def __init__(self, path: str) -> None:
        self.name = "standard input" if path == "-" else path
        self.position = 0  # bytes read
        self.cut = False  # the last read met the end of the file half way
        self.size: int | None = None  # where it can be known
        self._ahead = b""
        try:
            self._file: BinaryIO = (
                sys.stdin.buffer if path == "-" else open(path, "rb", buffering=_BUFFER)  # noqa: SIM115
            )
            self.status = os.fstat(self._file.fileno())
        except (OSError, ValueError) as error:
            raise CaptureError(f"{self.name}: {_reason(error)}") from None
        if stat.S_ISREG(self.status.st_mode):
            self.size = self.status.st_size

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end of the file, and never more than a record has."""
        size = min(size, _LARGEST_RECORD)
        ahead = b""
        if self._ahead:
            ahead, self._ahead = self._ahead[:size], self._ahead[size:]
        try:
            data = ahead + self._file.read(size - len(ahead))
        except (OSError, ValueError) as error:
            raise CaptureError(f"{self.name}: {_reason(error)}") from None
        self.cut = 0 < len(data) < size
        self.position += len(data)
        return data

    def peek(self, size: int) -> bytes:
        """What the next read starts with."""
        data = self.read(size)
        self.position -= len(data)
        self._ahead = data + self._ahead
        return data

    def close(self) -> None:
        self._file.close()


class Sink:
    """A capture to write; `-` is standard output.

    A file gets its name only when all is written: until then it stands beside the target under a
    name of its own, and disappears on any error. Pipes and devices are written directly.
    """

    def __init__(self, path: str, source: Source) -> None:
        """Raises CaptureError if the target is the source, a directory or cannot be written."""
        self.name = "standard output" if path == "-" else path
        self.position = 0
        self._temporary = self._target = ""
        try:
            status: os.stat_result | None = None
            if path == "-":
                self._file: BinaryIO = sys.stdout.buffer
                if self._file.isatty():
                    raise CaptureError("standard output is a terminal: a capture is no text")
                status = os.fstat(self._file.fileno())
            else:
                self._target = os.path.realpath(path)
                if os.path.exists(self._target):
                    status = os.stat(self._target)
            if status and stat.S_ISREG(status.st_mode) and os.path.samestat(status, source.status):
                raise CaptureError(f"{self.name}: is the input too, give the output another name")
            if path != "-":
                self._file = self._open(status)
        except (OSError, ValueError) as error:
            raise CaptureError(f"{self.name}: {_reason(error)}") from None
        self.seekable = bool(self._temporary)

    def _open(self, status: os.stat_result | None) -> BinaryIO:
        if status and not stat.S_ISREG(status.st_mode):
            return open(self._target, "wb", buffering=_BUFFER)
        if status and not os.access(self._target, os.W_OK):
            raise PermissionError(13, "Permission denied")
        folder = os.path.dirname(self._target)
        temporary = os.path.join(folder, f".inline-topo-{secrets.token_hex(8)}.part")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        self._temporary = temporary
        return os.fdopen(descriptor, "wb", buffering=_BUFFER)

    @property
    def path(self) -> str:
        """Where what is written can be read again before it has its name; empty: nowhere."""
        return self._temporary

    def write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except (OSError, ValueError) as error:
            raise CaptureError(f"{self.name}: {_reason(error)}") from None
        self.position += len(data)

    def patch(self, position: int, data: bytes) -> None:
        """Write over bytes that went out before; only where `seekable`."""
        try:
            self._file.seek(position)
            self._file.write(data)
            self._file.seek(self.position)
        except OSError as error:
            raise CaptureError(f"{self.name}: {_reason(error)}") from None

    def flush(self) -> None:
        try:
            self._file.flush()
        except (OSError, ValueError) as error:
            raise CaptureError(f"{self.name}: {_reason(error)}") from None

    def commit(self) -> None:
        """All is written: close, and give the file its name."""
        self.flush()
        try:
            if self._target:
                self._file.close()
            if self._temporary:
                os.replace(self._temporary, self._target)
                self._temporary = ""
        except OSError as error:
            self.discard()
            raise CaptureError(f"{self.name}: {_reason(error)}") from None

    def discard(self) -> None:
        """Leave nothing behind under any name."""
        with contextlib.suppress(OSError, ValueError):
            if self._target:
                self._file.close()
            else:
                self._give_up_output()
        if self._temporary:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)
            self._temporary = ""

    def _give_up_output(self) -> None:
        # Python flushes standard output once more on its way out, and would complain again
        try:
            self._file.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._file.fileno())
            os.close(nowhere)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.discard()
            return
        try:
            self.commit()
        except BaseException:
            self.discard()
            raise


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
