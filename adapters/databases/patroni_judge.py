"""What Patroni's complete answers to requests mean (its api.py and ha.py). Anything else than what is listed here is
unknown: it polls for the end of what it does, gives no reason when its leader refuses, and goes on without a caller."""

from __future__ import annotations

from adapters.net.http_client import Reply
from state.errors import EffectRefused, EffectUnknown
from state.ports.target import Receipt

NOT_STARTED = ("can not reinitialize", "already in progress", "Cluster has no leader", "I am the leader", "not able to")
"""How `ha.reinitialize` says that it did not begin."""


def judge(reply: Reply, candidate: str) -> Receipt:
    """POST /switchover and /failover (`poll_failover_result`)."""
    status, message = reply.status, reply.text
    if status == 200:
        if f'over to "{candidate}"' in message and "instead of" not in message:
            return Receipt("switched", message)
        return Receipt("landed-elsewhere", message)
    if status == 202:
        return Receipt("scheduled", message)
    if status == 412:
        raise EffectRefused(message or "impossible", "impossible-412")
    if status in (400, 422):
        raise EffectRefused(message or "bad request", f"bad-request-{status}")
    _denied(reply)
    if status == 503:
        code = "failed-503" if message.lower().endswith("failed") else "status-unknown-503"
        raise EffectUnknown(message or "no reason given", code, over=code == "failed-503")
    raise EffectUnknown(f"answer {status}: {message}", f"answer-{status}")


def judge_unschedule(reply: Reply) -> Receipt:
    """DELETE /switchover: 404 when none is scheduled, 409 when the store did not take it."""
    if reply.status == 200:
        return Receipt("unscheduled", reply.text)
    if reply.status == 404:
        raise EffectRefused(reply.text or "no switchover is scheduled", "none-scheduled-404")
    return _unjudged(reply)


def judge_config(reply: Reply) -> Receipt:
    """PATCH /config: the whole new configuration; 503 when there is none, 409 when the store did not take it."""
    if reply.status == 200:
        return Receipt("configured", "the dynamic configuration was changed")
    if reply.status == 503:
        raise EffectRefused(reply.text or "the cluster has no dynamic configuration", "no-configuration-503")
    return _unjudged(reply)


def judge_reinitialize(reply: Reply) -> Receipt:
    """POST /reinitialize: it answers when it has begun, or why it did not."""
    if reply.status == 200:
        return Receipt("begun", reply.text)
    if reply.status == 503 and any(each in reply.text for each in NOT_STARTED):
        raise EffectRefused(reply.text, "refused-503")
    return _unjudged(reply)


def judge_restart(reply: Reply) -> Receipt:
    """POST /restart (`do_POST_restart`, `ha.restart`)."""
    status, message = reply.status, reply.text
    if status == 200:
        return Receipt("restarted", message)
    if status == 503 and "conditions are not satisfied" in message:
        raise EffectRefused(f"{message}: it is not a replica, or no restart is pending", "role-503")
    _denied(reply)
    if status == 400:
        raise EffectRefused(message or "bad request", "bad-request-400")
    if status == 503:
        raise EffectUnknown(message or "no reason given", "failed-503")
    raise EffectUnknown(f"answer {status}: {message}", f"answer-{status}")


def _unjudged(reply: Reply) -> Receipt:
    _denied(reply)
    if reply.status == 400:
        raise EffectRefused(reply.text or "bad request", "bad-request-400")
    over = reply.status in (409, 503)
    raise EffectUnknown(f"answer {reply.status}: {reply.text}", f"answer-{reply.status}", over=over)


def _denied(reply: Reply) -> None:
    if reply.status in (401, 403):
        raise EffectRefused(reply.text or "not allowed", f"denied-{reply.status}")
