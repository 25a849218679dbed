"""Leases: of several API processes one does the work of a loop, and another takes over when it is gone."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

from sqlmodel import col, select, update

from api.db import Database
from api.tables import Lease

LEASE_S = 30.0


def this_process() -> str:
    """A holder's name: where its process id means something, the id, and a mark of its own.

    The place is this boot of the machine and this namespace of process ids (Linux); elsewhere it is nowhere.
    """
    return f"{_place()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def _place() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}-{Path('/proc/self/ns/pid').stat().st_ino}"
    except FileNotFoundError:
        return uuid.uuid4().hex


async def take_lease(db: Database, name: str, holder: str, *, for_s: float, now_s: float | None = None) -> int | None:
    """Take or keep a lease. Returns its fence number, or None while somebody else has it."""
    now_s = time.time() if now_s is None else now_s
    async with db.begin() as session:
        done = await session.exec(
            update(Lease)
            .where(
                col(Lease.name) == name,
                (col(Lease.holder) == holder) | (col(Lease.until_s) < now_s),
            )
            .values(holder=holder, until_s=now_s + for_s, fence=col(Lease.fence) + 1)
        )
        if done.rowcount == 0:
            return None
        return (await session.exec(select(Lease.fence).where(Lease.name == name))).one()


async def release_dead(db: Database) -> None:
    """End the leases of this machine's dead processes: whoever comes after a crash need not wait for them."""
    place = _place()
    async with db.begin() as session:
        for lease in (await session.exec(select(Lease))).all():
            where, _, rest = lease.holder.partition(":")
            pid = rest.partition(":")[0]
            if where == place and pid.isdigit() and not Path(f"/proc/{pid}").exists():
                # The holder is named again: somebody may have taken it meanwhile.
                ended = update(Lease).where(col(Lease.name) == lease.name, col(Lease.holder) == lease.holder)
                await session.exec(ended.values(until_s=0.0))
