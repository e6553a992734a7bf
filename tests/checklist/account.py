"""The user that the service runs as: without rights, and never root."""

import grp
import os
import pwd
import resource
import shlex
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

OPEN_FILES = 65_536
"""As LimitNOFILE in the unit."""

_STAND_IN = "nobody"
"""Whose account serves where root makes the checklist."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user."""

    user_id: int
    group_id: int

    @classmethod
    def without_rights(cls) -> "Account":
        """Whoever makes the checklist; for root, a user that owns nothing."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid())
        entry = pwd.getpwnam(_STAND_IN)
        return cls(entry.pw_uid, entry.pw_gid)

    @property
    def name(self) -> str:
        return pwd.getpwuid(self.user_id).pw_name

    @property
    def group(self) -> str:
        return grp.getgrgid(self.group_id).gr_name

    @property
    def can_become_others(self) -> bool:
        """Whether it is root who makes the checklist."""
        return os.geteuid() == 0

    def command(self, program: Sequence[str]) -> list[str]:
        """How to run it as this user, with the unit's limits as far as this machine goes, in the same process."""
        limited = ["prlimit", f"--nofile={open_files()}", "--core=0"]
        if os.geteuid() != 0 or self.user_id == 0:
            return [*limited, *program]
        identity = [f"--reuid={self.user_id}", f"--regid={self.group_id}", "--clear-groups"]
        rights = ["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--no-new-privs"]
        return [*_opened(), *limited, "setpriv", *identity, *rights, *program]

    def give(self, path: Path, mode: int, *, owner: bool = True) -> Path:
        """Let this user own it, or with `owner` false only its group, with that mode."""
        if os.geteuid() == 0:
            os.chown(path, self.user_id if owner else 0, self.group_id)
        path.chmod(mode)
        return path


def open_files() -> int:
    """How many files the service may have open: what the unit says, or the most that this machine allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)


def _opened() -> list[str]:
    """What shows the program and its Python where root keeps them in folders that nobody else may enter.

    In its own view of the files such a folder holds nothing else, and everybody may pass through it.
    """
    python = Path(sys.executable).resolve().parents[1]
    needed = sorted({ROOT, Path(sys.prefix), Path(sys.base_prefix), python})
    closed = {folder for path in needed if (folder := _closed(path)) is not None}
    if not closed:
        return []
    lines = ["set -e", "mask=$(umask)", "umask 022"]
    for folder in sorted(closed):
        inside = list(_outermost([path for path in needed if path.is_relative_to(folder)]))
        # Held by an open descriptor while the folder is covered.
        lines += [f"exec {3 + number}<{shlex.quote(str(path))}" for number, path in enumerate(inside)]
        lines.append(f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(folder))}")
        for number, path in enumerate(inside):
            place = shlex.quote(str(path))
            lines.append(f"mkdir -p {place} && mount --no-canonicalize --bind /proc/self/fd/{3 + number} {place}")
            lines.append(f"exec {3 + number}<&-")
    lines.append('umask "$mask" && exec "$@"')
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(lines), "sh"]


def _closed(path: Path) -> Path | None:
    """The outermost folder on the way to it that others may not pass."""
    for folder in (*reversed(path.parents), path):
        if not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None


def _outermost(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if not any(other != path and path.is_relative_to(other) for other in paths):
            yield path
