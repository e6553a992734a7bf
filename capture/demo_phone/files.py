"""The phone's storage: files in memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from posixpath import basename, dirname, normpath

_FILE_MODE = 0o100000  # S_IFREG
_FOLDER_MODE = 0o040771  # S_IFDIR


class StorageError(Exception):
    """A file operation that failed, with the words that Android's tools print."""


class NoSpaceLeft(StorageError):
    """A file that does not fit."""

    def __init__(self) -> None:
        super().__init__("No space left on device")


@dataclass(frozen=True, slots=True)
class File:
    """A file or a folder."""

    mode: int
    """Type and permissions, as in `st_mode`."""
    modified: int
    """Seconds since the epoch."""
    data: bytes = b""

    @property
    def is_folder(self) -> bool:
        return self.mode == _FOLDER_MODE


_FOLDERS = ("/", "/data/local/tmp", "/sdcard/Download", "/sdcard/Movies", "/sdcard/Pictures", "/system/bin")


class Files:
    """Absolute paths to files. Folders come into being with the files in them."""

    def __init__(self, limit: int = 256 << 20, is_full: Callable[[], bool] = lambda: False) -> None:
        """`limit` is the storage's size in bytes; while `is_full` says so there is no room at all."""
        self._limit = limit
        self._is_full = is_full
        self._files: dict[str, File] = {}
        for folder in _FOLDERS:
            self._make_folders(folder)

    def find(self, path: str) -> File | None:
        """The file or folder at `path`, None when there is none."""
        return self._files.get(_normal(path))

    def read(self, path: str) -> bytes:
        """A file's content. Raises `StorageError`."""
        file = self.find(path)
        if file is None:
            raise StorageError("No such file or directory")
        if file.is_folder:
            raise StorageError("Is a directory")
        return file.data

    def write(self, path: str, data: bytes, mode: int, modified: int) -> None:
        """Create or replace a file. Raises `StorageError`."""
        path = _normal(path)
        before = self._files.get(path)
        if before is not None and before.is_folder:
            raise StorageError("Is a directory")
        if self._is_full() or self.room(path) < len(data):
            raise NoSpaceLeft
        self._make_folders(dirname(path))
        self._files[path] = File(_FILE_MODE | mode & 0o777, modified, data)

    def room(self, path: str) -> int:
        """How many bytes a file at `path` can have."""
        if self._is_full():
            return 0
        others = sum(len(file.data) for name, file in self._files.items() if name != _normal(path))
        return self._limit - others

    def remove(self, path: str) -> None:
        """Remove a file. Raises `StorageError`."""
        self.read(path)
        del self._files[_normal(path)]

    def remove_tree(self, path: str) -> None:
        """Remove a file, or a folder and what is in it; nothing when there is none."""
        path = _normal(path)
        for name in [name for name in self._files if name == path or name.startswith(path.rstrip("/") + "/")]:
            del self._files[name]
        self._make_folders("/")

    def list(self, path: str) -> Iterator[tuple[str, File]]:
        """Names and files of a folder, sorted; nothing for anything else."""
        folder = _normal(path)
        for name in sorted(self._files):
            if name != "/" and dirname(name) == folder:
                yield basename(name), self._files[name]

    def _make_folders(self, path: str) -> None:
        missing = []
        while path not in self._files and path != "/":
            missing.append(path)
            path = dirname(path)
        if path in self._files and not self._files[path].is_folder:
            raise StorageError("Not a directory")
        for folder in [path, *missing]:
            self._files.setdefault(folder, File(_FOLDER_MODE, 0))


def _normal(path: str) -> str:
    # normpath keeps two leading slashes, which POSIX lets mean something else.
    return normpath("/" + path.lstrip("/"))
