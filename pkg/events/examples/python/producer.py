#!/usr/bin/env python3
"""Publishes events of a workflow with nothing but Redis. Prints the id of each event that Redis has taken.

    producer.py redis://127.0.0.1:6379/0 wf-1 --count 3
"""
import argparse
import json
import uuid
from datetime import datetime, timezone

from connection import connect


def new_event(workflow_id, percent):
    """One event as pkg/events/README.md describes it; asyncapi.json there has the payload of each type."""
    return {
        "id": str(uuid.uuid4()),
        "type": "workflow.progressed",
        "workflow_id": workflow_id,
        "timestamp": datetime.now(timezone.utc).isoformat(),
        "source_agent": "python-producer",
        "data": {"percent": percent, "stage": "audit", "stage_percent": percent},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="the Redis server")
    parser.add_argument("workflow", help="the workflow's id")
    parser.add_argument("--count", type=int, default=1, help="events to publish")
    parser.add_argument("--prefix", default="", help="BUS_PREFIX of the system, if it has one")
    args = parser.parse_args()

    client = connect(args.url)
    for i in range(1, args.count + 1):
        event = new_event(args.workflow, percent=100 * i // args.count)
        client.xadd(f"{args.prefix}events:{event['type']}", {"data": json.dumps(event)})
        print(event["id"], flush=True)


if __name__ == "__main__":
    main()
