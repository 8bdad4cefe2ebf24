"""A member of a consumer group, in the way that pkg/events/README.md describes step by step."""
import json
import threading
import time
from datetime import datetime, timezone

from redis import ResponseError

MAX_ATTEMPTS = 5
HEARTBEAT = 3  # seconds


class Member:
    """Calls handle with each event until it is told to stop. Connected by a redis client that decodes its answers."""

    def __init__(self, client, group, name, types, handle, batch=100, retry_every=5, claim_after=None, lease=True, prefix=""):
        self.redis, self.group, self.name, self.types, self.handle = client, group, name, types, handle
        self.batch, self.retry_every, self.claim_after, self.lease, self.prefix = batch, retry_every, claim_after, lease, prefix
        self.streams = [f"{prefix}events:{t}" for t in types] + [f"{prefix}replay:{group}"]
        self.leases = f"{prefix}members:{group}"
        self.stopping = threading.Event()

    def run(self):
        self.join()
        beating = threading.Thread(target=self.heartbeat, daemon=True)
        beating.start()
        next_retry = 0
        while not self.stopping.is_set():
            if time.monotonic() >= next_retry:
                self.retry()
                next_retry = time.monotonic() + self.retry_every
            self.read()
        beating.join()
        self.leave()

    def join(self):
        # Registered first: from then on, nothing that the group has not acknowledged is trimmed.
        self.redis.hset(f"{self.prefix}groups", self.group, " ".join(sorted(self.types)))
        for stream in self.streams:
            try:
                self.redis.xgroup_create(stream, self.group, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):  # the group is there already
                    raise

    def heartbeat(self):
        """A thread beside the work: renews the lease, and the idle times of the entries this member works on."""
        started, beats = time.time_ns(), 0
        try:
            while not self.stopping.is_set():
                if self.lease:
                    self.redis.hset(self.leases, self.name, f"{started}:{beats}")
                for stream in self.streams:
                    if ids := [p["message_id"] for p in self.pending(stream)]:
                        self.redis.xclaim(stream, self.group, self.name, 0, ids, justid=True)
                beats += 1
                self.stopping.wait(HEARTBEAT)
        finally:
            self.stopping.set()  # without a heartbeat there is no going on

    def pending(self, stream):
        return self.redis.xpending_range(stream, self.group, "-", "+", 1000, consumername=self.name)

    def read(self):
        streams = {stream: ">" for stream in self.streams}
        for stream, entries in self.redis.xreadgroup(self.group, self.name, streams, count=self.batch, block=200):
            self.work_on(stream, entries, attempt=1)

    def retry(self):
        """Takes up what failed or an earlier process of this name left; with claim_after also what dead members left."""
        for stream in self.streams:
            if self.claim_after:
                self.redis.xautoclaim(stream, self.group, self.name, self.claim_after * 1000, justid=True)
            for p in self.pending(stream):
                # Claimed once more, without JUSTID: so Redis counts the attempt before it begins.
                entries = self.redis.xclaim(stream, self.group, self.name, 0, [p["message_id"]])
                self.work_on(stream, entries, attempt=p["times_delivered"] + 1)

    def work_on(self, stream, entries, attempt):
        """Acknowledges in one call what was handled; the rest stays pending."""
        done = []
        for entry, fields in entries:
            if self.stopping.is_set():
                break
            if attempt > MAX_ATTEMPTS:
                self.dead_letter(stream, entry, fields, "crash", "the last attempt did not end", MAX_ATTEMPTS)
                continue
            try:
                self.handle(json.loads(fields["data"]))
                done.append(entry)
            except Exception as error:
                if attempt == MAX_ATTEMPTS:
                    self.dead_letter(stream, entry, fields, "error", repr(error), attempt)
        if done:
            self.redis.xack(stream, self.group, *done)

    def dead_letter(self, stream, entry, fields, kind, error, attempts):
        """Stores the letter and acknowledges the entry, both or neither."""
        letter = {
            "data": fields.get("data", ""), "seq": fields.get("seq", 0),
            "stream": fields.get("stream", stream), "entry": fields.get("entry", entry),
            "group": self.group, "member": self.name, "class": kind, "error": error, "attempts": attempts,
            "died_at": datetime.now(timezone.utc).isoformat(),
        }
        try:
            event = json.loads(fields["data"])
            letter.update(event_id=event["id"], type=event["type"], workflow_id=event["workflow_id"])
        except (KeyError, TypeError, ValueError):
            pass  # it is no event, which may be why it failed
        with self.redis.pipeline(transaction=True) as transaction:
            transaction.xadd(f"{self.prefix}dlq:{self.group}", letter)
            transaction.xack(stream, self.group, entry)
            transaction.execute()

    def leave(self):
        if any(self.pending(stream) for stream in self.streams):
            self.redis.hset(self.leases, self.name, "left")  # the others need not wait until it counts as dead
            return
        for stream in self.streams:
            self.redis.xgroup_delconsumer(stream, self.group, self.name)
        self.redis.hdel(self.leases, self.name)
