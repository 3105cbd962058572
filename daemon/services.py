"""What the runs of all jobs share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from daemon.blobs import BlobStore
from daemon.clock import Clock
from daemon.disk import Disk
from daemon.eventlog import EventLog
from daemon.exchange import Workbench
from daemon.gallery import Gallery
from daemon.gates import Gates
from daemon.inputs import Inputs
from daemon.net import Network
from daemon.roster import Roster
from daemon.settings import Settings
from daemon.treasury import Treasury
from daemon.viewing import Viewer


@dataclass(frozen=True, slots=True)
class Services:
    """What every context shares."""

    settings: Settings
    clock: Clock
    log: EventLog
    blobs: BlobStore
    disk: Disk
    gallery: Gallery
    viewer: Viewer
    workbench: Workbench
    gates: Gates
    network: Network
    inputs: Inputs
    roster: Roster
    treasury: Treasury
    stopping: asyncio.Event
    """Set when nothing new may be sent."""
