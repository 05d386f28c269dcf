"""Checks of a join that need neither media nor a socket: what is offered against what is granted."""

from __future__ import annotations

from bridge.errors import ErrorCode, RefusedError
from bridge.values import Grant, Offer


def check_offer(offer: Offer, grant: Grant) -> None:
    """Raise RefusedError: ``not-granted`` for a kind or a slot beyond the grant, ``message-invalid`` for a
    kind, a slot or an m-line named twice and for a slot whose halves don't suit its index."""
    kinds = [source.kind for source in offer.sources]
    indices = [slot.index for slot in offer.slots]
    mids = [source.mid for source in offer.sources]
    mids += [mid for slot in offer.slots for mid in (slot.picture, slot.voice) if mid is not None]
    for what, named in (("kind", kinds), ("slot", indices), ("m-line", mids)):
        if len(set(named)) != len(named):
            raise RefusedError(ErrorCode.MESSAGE_INVALID, f"a {what} is named twice")

    beyond = sorted(set(kinds) - grant.publish)
    if beyond:
        raise RefusedError(ErrorCode.NOT_GRANTED, f"may not publish {', '.join(beyond)}")
    counts = grant.slots
    for slot in offer.slots:
        if slot.index >= counts.pairs + counts.voices:
            raise RefusedError(ErrorCode.NOT_GRANTED, f"slot {slot.index} is more than was given")
        if (slot.picture is not None) != (slot.index < counts.pairs):
            wanted = "needs" if slot.index < counts.pairs else "has no"
            raise RefusedError(ErrorCode.MESSAGE_INVALID, f"slot {slot.index} {wanted} picture")
