#!/usr/bin/env python3
"""Reads events as a member of a consumer group and prints the id of each event it has handled.

    consumer.py redis://127.0.0.1:6379/0 mailers mailer-1 workflow.completed,workflow.failed --claim-after 30

An error of Redis ends it. Started again under the same name, it goes on with what it had not acknowledged.
"""
import argparse
import signal
import time

from connection import connect
from member import Member


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="the Redis server")
    parser.add_argument("group", help="the consumer group; it is made where it is missing")
    parser.add_argument("member", help="this process's unique name in the group")
    parser.add_argument("types", type=lambda text: text.split(","), help="event types, the same for all members of the group")
    parser.add_argument("--work", type=float, default=0, help="seconds to work on each event")
    parser.add_argument("--count", type=int, help="leave after so many events")
    parser.add_argument("--batch", type=int, default=100, help="most entries of a stream that are read and acknowledged together")
    parser.add_argument("--retry-every", type=float, default=5, help="seconds between two looks at what failed or was left behind")
    parser.add_argument("--claim-after", type=int, help="seconds without a heartbeat until another member counts as dead; only in a group of Python members")
    parser.add_argument("--no-lease", dest="lease", action="store_false", help="take no lease")
    parser.add_argument("--prefix", default="", help="BUS_PREFIX of the system, if it has one")
    args = parser.parse_args()
    handled = 0

    def handle(event):
        """The work itself. An exception means that the event is tried again."""
        nonlocal handled
        time.sleep(args.work)
        print(event["id"], flush=True)
        handled += 1
        if handled == args.count:
            member.stopping.set()

    member = Member(connect(args.url), args.group, args.member, args.types, handle,
                    batch=args.batch, retry_every=args.retry_every, claim_after=args.claim_after,
                    lease=args.lease, prefix=args.prefix)
    signal.signal(signal.SIGTERM, lambda *_: member.stopping.set())
    member.run()


if __name__ == "__main__":
    main()
