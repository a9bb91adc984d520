"""Memory that was used once goes back to the host: an engine runs for months, and a storm of alerts lasts an hour.

The C library keeps what is freed in the middle of its heap, and more of it the longer a process runs. asyncio asks for
256 KiB at each receipt and keeps what came: left to itself the library soon puts such blocks into its heap, where each
leaves a hole. Here they have pages of their own, and malloc_trim(3) returns the pages of smaller holes. What only
cycles keep is found first: left to the collector it lies among what is in use for as long as few objects are made.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc

M_ARENA_MAX = -8  # mallopt(3), <malloc.h>
ARENAS = 2
"""Heaps for all threads: each of them has holes of its own."""
M_MMAP_THRESHOLD = -3
LARGE = 16 << 10
"""Bytes from which a block has pages of its own. A threshold that is set is not raised by blocks that are freed."""
EVERY = 60.0
"""Seconds between two returns."""
COLLECT_AFTER = 20_000
"""Objects between two collections of the youngest: readings make thousands and leave few cycles."""


def small_heaps() -> None:
    """Before threads start: they share few heaps, without large blocks. Nothing where the C library is not glibc."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.mallopt(M_ARENA_MAX, ARENAS)
        libc.mallopt(M_MMAP_THRESHOLD, LARGE)


def keep_what_is_there() -> None:
    """Once all has started: what is there stays to the end, so no later collection looks at it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)


async def return_memory(every: float = EVERY) -> None:
    """Collect cycles and give freed pages back, again and again; a few milliseconds each time."""
    libc = ctypes.CDLL(None)
    trim = getattr(libc, "malloc_trim", None)
    if trim is not None:
        trim.argtypes = [ctypes.c_size_t]
    while True:
        await asyncio.sleep(every)
        gc.collect()
        if trim is not None:
            trim(0)
