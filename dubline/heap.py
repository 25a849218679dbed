"""How the C library is to keep memory in processes that run engines."""

ONE_HEAP = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),  # the most that it takes
    "MALLOC_TRIM_THRESHOLD_": str(512 << 20),
}
"""Variables that have glibc share one heap among threads, and keep what was freed. They count when a process starts.

Engines ask for the same tens of megabytes again and again. A heap for each thread hands them to the system and back,
page by page: 0.8 of 8.3 core-seconds of recognition were the system's, and 9.1 of 87 of a whole dub; with one heap it
has 6.5. The peak of memory is lower, since what one thread freed another takes. Who unloads an engine trims the heap.
"""
