"""Sends records with fluent-logger, which asks for no acknowledgement:  forward.py PORT COUNT"""
import sys

from fluent.sender import FluentSender

sender = FluentSender("app", port=int(sys.argv[1]), nanosecond_precision=True)
for number in range(int(sys.argv[2])):
    if not sender.emit("shop", {"message": f"request {number} refused", "level": "warn", "host": "h"}):
        sys.exit(str(sender.last_error))
sender.close()
