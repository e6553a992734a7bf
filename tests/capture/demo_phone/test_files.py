"""The phone's storage."""

import pytest

from capture.demo_phone.files import Files, StorageError


def test_files_are_written_read_listed_and_removed() -> None:
    files = Files()
    files.write("/sdcard/a/b.txt", b"text", 0o600, 5)
    file = files.find("//sdcard/a/../a/b.txt")
    assert file is not None
    assert (file.data, file.mode, file.modified, file.is_folder) == (b"text", 0o100600, 5, False)
    assert [name for name, _ in files.list("/sdcard")] == ["Download", "Movies", "Pictures", "a"]
    assert files.read("sdcard/a/b.txt") == b"text"
    files.remove("/sdcard/a/b.txt")
    assert files.find("/sdcard/a/b.txt") is None
    assert [*files.list("/sdcard/a")] == []


def test_trees_are_removed_but_the_root_stays() -> None:
    files = Files()
    files.write("/sdcard/a/b", b"", 0, 0)
    files.remove_tree("/sdcard")
    assert files.find("/sdcard/a") is None
    files.remove_tree("/")
    assert [*files.list("/")] == []
    assert files.find("/") is not None


def test_what_cannot_be() -> None:
    files = Files(limit=10)
    files.write("/f", bytes(6), 0, 0)
    with pytest.raises(StorageError, match="No space left"):
        files.write("/g", bytes(5), 0, 0)
    files.write("/f", bytes(10), 0, 0)
    assert files.room("/g") == 0
    for path, problem in (("/none", "No such file"), ("/sdcard", "Is a directory")):
        with pytest.raises(StorageError, match=problem):
            files.read(path)
    with pytest.raises(StorageError, match="Is a directory"):
        files.write("/sdcard", b"", 0, 0)
    with pytest.raises(StorageError, match="Not a directory"):
        files.write("/f/g/h", b"", 0, 0)
    assert files.find("/f/g") is None
