"""State files nobody wants: links, folders, other owners, full disks, engines that end in between, two at once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.balancers.haproxy_replace import NotReplaced, obstacle, replace_file
from adapters.balancers.haproxy_state import BEGINS
from state.errors import EffectRefused
from tests.contract.components import wait_for
from tests.contract.state_files import LOADED, Reloadable
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]


def a_link(path: Path) -> None:
    (path.parent / "elsewhere").write_text("theirs")
    path.symlink_to(path.parent / "elsewhere")


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_journal(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + bytes(4000))


def an_estate(path: Path) -> None:
    path.write_text("estate: eu-shop\n")


def in_an_open_folder(path: Path) -> None:
    path.parent.chmod(0o777)


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (a_link, "is a link: name the file that it leads to"),
        (Path.mkdir, "is no regular file"),
        (a_pipe, "is no regular file"),
        (a_journal, "is another kind of file, and stays as it is"),
        (an_estate, "is another kind of file, and stays as it is"),
        (in_an_open_folder, "which everybody may write"),
    ],
)
async def test_what_is_in_the_way_is_named_and_stays(
    reloadable: Callable[..., Reloadable], prepare: Callable[[Path], None], said: str
) -> None:
    running = reloadable(LOADED, port=free_port())
    prepare(running.state)
    before = there(running.folder)
    edge = running.edge()
    await edge.set_weight("shop", "blue", 30, deadline=2)
    with pytest.raises(EffectRefused, match=said):
        await edge.save("shop", deadline=2)
    assert said in obstacle(str(running.state), BEGINS), "a check finds the same"
    reading = await edge.read(deadline=2)
    assert reading.saved is not None
    assert reading.saved.lost == {"shop/blue": "weight 100"}
    assert there(running.folder) == before


def there(folder: Path) -> list[tuple[str, int, int]]:
    seen = {each.name: os.lstat(each) for each in folder.iterdir() if each.name != "log"}
    return sorted((name, each.st_mode, each.st_ino) for name, each in seen.items())


async def test_what_somebody_else_wrote_in_its_place_is_never_called_kept(
    reloadable: Callable[..., Reloadable],
) -> None:
    running = reloadable(LOADED, port=free_port())
    edge = running.edge()
    await edge.set_weight("shop", "blue", 30, deadline=2)
    await edge.save("shop", deadline=2)
    whole = running.state.read_bytes()
    for content in (
        b"",
        b"1\n",
        b"\xff" * 100,
        whole.replace(b" 30 100 ", b" x 100 "),
        whole[:-30],
        b"2\n" + whole[2:],
    ):
        running.state.write_bytes(content)
        reading = await edge.read(deadline=2)
        assert reading.saved is not None
        assert reading.saved.lost == {"shop/blue": "weight 100"}, content
        assert not reading.saved.kept


def test_mode_and_group_stay_and_what_a_dead_process_left_is_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text("old")
    path.chmod(0o640)
    left, alive = tmp_path / ".state.recovery-99999999-aa", tmp_path / f".state.recovery-{os.getppid()}-bb"
    for each in (left, alive):
        each.write_text("half")
    replace_file(str(path), b"new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)
    assert sorted(each.name for each in tmp_path.iterdir()) == [alive.name, "state"], "one that writes now is let be"


OTHERS = """
    import os, sys
    from pathlib import Path
    from adapters.balancers.haproxy_replace import NotReplaced, replace_file
    path = Path(sys.argv[1], "state")
    path.write_text("theirs")
    os.chown(path, 1, 1)
    os.chmod(path, 0o640)
    replace_file(str(path), b"by root")
    print(path.stat().st_uid, path.stat().st_gid, oct(path.stat().st_mode & 0o777), path.read_text())
    os.chown(path, 2, 2)
    os.chown(path.parent, 1, 1)
    os.setgroups([]); os.setgid(1); os.setuid(1)
    try:
        replace_file(str(path), b"by another account")
    except NotReplaced as error:
        print(error)
    print(path.stat().st_uid, os.listdir(path.parent))
"""
FULL = """
    import errno, os, sys
    from pathlib import Path
    from adapters.balancers.haproxy_replace import replace_file
    path = Path(sys.argv[1], "state")
    path.write_text("old")
    with Path(sys.argv[1], "filler").open("wb") as filler:
        filler.write(b"x" * 1_500_000)
    try:
        replace_file(str(path), b"y" * 1_000_000)
    except OSError as error:
        print(error.errno == errno.ENOSPC, path.read_text(), sorted(each.name for each in path.parent.iterdir()))
"""


def in_a_namespace(script: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run a script as root of a namespace of its own, on a small file system."""
    small = Path(tempfile.mkdtemp(dir="/tmp"))  # where every account may come to
    small.chmod(0o755)
    (tmp_path / "it.py").write_text(textwrap.dedent(script))
    inside = f"mount -t tmpfs -o size=2m,mode=755 none {small} && exec {sys.executable} {tmp_path}/it.py {small}"
    argv = ["unshare", *MAPPED, "--mount", "sh", "-c", inside]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, timeout=60)
    finally:
        small.rmdir()


MAPPED = ["--user", "--map-root-user"] if os.geteuid() else []


def test_a_full_disk_leaves_the_former_file_and_nothing_else(tmp_path: Path) -> None:
    done = in_a_namespace(FULL, tmp_path)
    assert done.stdout == "True old ['filler', 'state']\n", done.stderr


def test_an_owner_stays_or_the_file_does(tmp_path: Path) -> None:
    """Root gives the new file to whom the old one belonged; nobody else can, and leaves it alone."""
    done = in_a_namespace(OTHERS, tmp_path)
    kept, refused, after = done.stdout.splitlines()
    assert kept == "1 1 0o640 by root", done.stderr
    assert refused.endswith("state belongs to bin")
    assert after == "2 ['state']"


WRITER = """
    import os, sys
    from adapters.balancers import haproxy_replace
    fsync, path = os.fsync, sys.argv[1]
    def slow(descriptor):
        fsync(descriptor)
        print("written", flush=True)
        sys.stdin.readline()
    os.fsync = slow
    haproxy_replace.replace_file(path, b"new" * 1000)
"""


def test_an_engine_killed_before_the_rename_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text("old")
    argv = [sys.executable, "-c", textwrap.dedent(WRITER), str(path)]
    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == b"written\n"
    process.kill()
    process.communicate()
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2, "what it left is there"
    replace_file(str(path), b"newer")
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("state", "newer")]


async def test_two_engines_at_one_file_never_leave_a_part_of_it(reloadable: Callable[..., Reloadable]) -> None:
    running = reloadable(LOADED, port=free_port())
    one, two = running.edge(), running.edge()
    assert set(one.acts_at()) == set(two.acts_at())
    assert f"haproxy state {running.state}" in one.acts_at(), "where the second engine is refused"
    for weight in range(20):
        await one.set_weight("shop", "blue", weight, deadline=2)
        found = await asyncio.gather(one.save("shop", deadline=5), two.save("shop", deadline=5))
        assert [each is not None and not each.lost for each in found] == [True, True]
    assert [each.name for each in running.folder.iterdir() if "recovery" in each.name] == []


def test_a_file_of_another_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert obstacle(str(tmp_path / "no" / "state")).endswith("No such file or directory")
    with pytest.raises((NotReplaced, FileNotFoundError)):
        replace_file(str(tmp_path / "no" / "state"), b"")
    wait_for(lambda: not (tmp_path / "no").exists())
