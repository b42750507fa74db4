"""Everything the agent counts and logs, declared once."""

import logging

from wire.ops.watch import Happening

INFO, WARNING, ERROR = logging.INFO, logging.WARNING, logging.ERROR

HAPPENINGS = (
    Happening("agent.start", "the agent runs", INFO),
    Happening("agent.stop", "the agent has stopped", INFO),
    Happening("gnss.fix", "fixes accepted"),
    Happening("gnss.redated", "fixes whose date was wrong", labels=("how",)),
    Happening("gnss.wrong-date", "the receiver's date is wrong", WARNING),
    Happening("gnss.rejected", "input of the receiver refused", labels=("reason",)),
    Happening("gnss.opened", "receiver opened", INFO),
    Happening("gnss.away", "receiver away; trying again", WARNING),
    Happening("gnss.nofix", "no fix for 5 s", WARNING),
    Happening("gnss.back", "fixes are back", INFO),
    Happening("gnss.unheard", "nothing that a receiver says comes in", WARNING),
    Happening("gnss.heard", "the receiver is heard", INFO),
    Happening("gnss.baud", "the receiver's speed is found", INFO),
    Happening("obd.baud", "the adapter's speed is found", INFO),
    Happening("obd.value", "values read from the vehicle bus"),
    Happening("obd.rejected", "answers of the adapter refused", labels=("reason",)),
    Happening("obd.state", "adapter changed state", INFO),
    Happening("obd.lost", "the adapter does not answer; asking on", WARNING),
    Happening("obd.opened", "adapter opened", INFO),
    Happening("obd.away", "adapter away; trying again", WARNING),
    Happening("outbox.commit", "commits of the outbox"),
    Happening("outbox.record", "records committed to the outbox"),
    Happening("outbox.dated", "records that were made before the time was known are final", INFO),
    Happening("outbox.failed", "the outbox can't be written; records wait in memory", ERROR),
    Happening("outbox.overflow", "records dropped because disk and memory are full", ERROR),
    Happening("outbox.fork", "another device has written under our store id; going on under a new one", ERROR),
    Happening("link.up", "linked to the broker", INFO),
    Happening("link.down", "link lost", WARNING, labels=("code",)),
    Happening("link.refused", "the broker refuses us", ERROR),
    Happening("link.again", "still not linked", logging.DEBUG, labels=("code",)),
    Happening("live.sent", "live messages sent"),
    Happening("live.acked", "live messages acknowledged by the broker"),
    Happening("track.sent", "track batches sent"),
    Happening("track.acked", "rows committed by the hub"),
    Happening("track.again", "batches sent again for want of an answer"),
    Happening("track.bad", "batches refused by the hub", WARNING, labels=("reason",)),
    Happening("event.made", "something happened", INFO, labels=("kind",)),
    Happening("event.acked", "events committed by the hub"),
    Happening("status.away", "nobody can ask for the status; the rest goes on", WARNING),
    Happening("ack.rejected", "acks that can't be read or are not for us", WARNING, labels=("reason",)),
)
