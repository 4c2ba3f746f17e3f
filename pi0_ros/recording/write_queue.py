"""The write queue between streams and disk: bounded in size, emptied by a thread of its own.

The receiving thread never waits for the disk. Messages that do not fit into the queue count as
lost, by topic. After the disk refused one write, nothing more is written.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from pi0_ros.recording.bag import BagWriter
from pi0_ros.recording.episode import EpisodeInfo
from pi0_ros.recording.mcap_file import Message

#: Messages are written when so many bytes wait, or this time after the last write. A process that
#: is killed loses the queue and at most this.
CHUNK_BYTES = 4 << 20
CHUNK_PERIOD_S = 0.25

# The disk confirms written data at this period, which is what a power cut may cost. A shorter one
# would make this writer wait for commits of the file system.
_SYNC_PERIOD_S = 2.0


class WriteQueue:
    """The queue of one bag, and the thread that writes it.

    Only the receiving thread calls :meth:`offer`. ``received``, ``lost`` and ``missed`` count by
    topic; other threads only read them. The writing thread calls ``observe(topic, log_ns, data)``
    for each written message.
    """

    def __init__(
        self,
        bag: BagWriter,
        limit_bytes: int,
        observe: Callable[[int, int, bytes], None],
    ) -> None:
        count = len(bag.topics)
        self.received = [0] * count
        self.lost = [0] * count
        self.missed = [0] * count
        self.error: OSError | None = None
        self._bag = bag
        self._limit = limit_bytes
        self._observe = observe
        self._queue: deque[Message | EpisodeInfo] = deque()
        self._offered = 0  # bytes, counted by the receiving thread
        self._taken = 0  # bytes, counted by the writing thread
        self._wake = threading.Event()
        self._closing = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bag-writer", daemon=True)
        self._syncer = threading.Thread(target=self._sync, name="bag-sync", daemon=True)
        self._thread.start()
        self._syncer.start()

    @property
    def waiting_bytes(self) -> int:
        """Bytes received and not yet written."""
        return self._offered - self._taken

    def offer(self, topic: int, message: Message) -> None:
        """Queue one message of the topic with this index, or count it as lost."""
        self.received[topic] += 1
        size = len(message.data)
        if self.error is not None or self.waiting_bytes + size > self._limit:
            self.lost[topic] += 1
            return
        self._offered += size
        self._queue.append(message)
        if self.waiting_bytes > CHUNK_BYTES:
            self._wake.set()

    def annotate(self, info: EpisodeInfo) -> None:
        """Queue a changed description behind the messages offered so far. From any thread."""
        self._queue.append(info)

    def close(self) -> None:
        """Write the queue and end the thread. Offer nothing afterwards."""
        self._closing = True
        self._wake.set()
        self._thread.join()
        self._ended.set()
        self._syncer.join()

    def drop(self) -> None:
        """End the thread without writing the queue."""
        self._queue.clear()
        self.close()

    def _run(self) -> None:
        while True:
            closing = self._closing  # read first, so that everything offered before is written
            started_s = time.monotonic()
            self._write_all()
            if closing:
                return
            self._wake.clear()
            self._wake.wait(max(0.0, CHUNK_PERIOD_S - (time.monotonic() - started_s)))

    def _sync(self) -> None:
        while not self._ended.wait(_SYNC_PERIOD_S):
            self._guarded(self._bag.sync)

    def _write_all(self) -> None:
        batch: list[Message] = []
        size = 0
        for _ in range(len(self._queue)):
            try:
                item = self._queue.popleft()
            except IndexError:  # dropped meanwhile
                break
            if isinstance(item, EpisodeInfo):
                self._write(batch)
                batch, size = [], 0
                self._guarded(lambda info=item: self._bag.annotate(info))  # type: ignore[misc]
                continue
            batch.append(item)
            size += len(item.data)
            if size > CHUNK_BYTES:
                self._write(batch)
                batch, size = [], 0
        self._write(batch)

    def _write(self, batch: list[Message]) -> None:
        if batch and self._guarded(lambda: self._bag.write(batch)):
            for message in batch:
                self._observe(message.channel - 1, message.log_ns, message.data)
        else:
            for message in batch:
                self.lost[message.channel - 1] += 1
        self._taken += sum(len(message.data) for message in batch)

    def _guarded(self, write: Callable[[], None]) -> bool:
        """Whether the write succeeded; after the first failure no other is tried."""
        if self.error is not None:
            return False
        try:
            write()
        except Exception as error:  # if this thread ended, later messages would be lost silently
            self.error = error if isinstance(error, OSError) else OSError(repr(error))
            return False
        return True
