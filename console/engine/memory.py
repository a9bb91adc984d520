"""Memory that was used once goes back to the host: an engine runs for months, and a storm of alerts lasts an hour.

The C library keeps what is freed in the middle of its heap, and more of it the longer a process runs; readings of a few
hundred kilobytes, taken and dropped each second, leave such holes. malloc_trim(3) returns the pages in them.
"""

from __future__ import annotations

import asyncio
import ctypes

M_ARENA_MAX = -8  # mallopt(3), <malloc.h>
ARENAS = 2
"""Heaps for all threads: each of them has holes of its own."""
EVERY = 60.0
"""Seconds between two returns."""


def few_heaps() -> None:
    """Before threads start: they share few heaps. Nothing where the C library is another one than glibc."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.mallopt(M_ARENA_MAX, ARENAS)


async def return_memory(every: float = EVERY) -> None:
    """Give freed pages back, again and again; a few milliseconds each time. Nothing where there is no glibc."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "malloc_trim"):
        return
    libc.malloc_trim.argtypes = [ctypes.c_size_t]
    while True:
        await asyncio.sleep(every)
        libc.malloc_trim(0)
