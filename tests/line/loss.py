"""Loss in bursts, by the model of Gilbert and Elliott: two states, and a loss probability in each.

good --p--> bad      before each packet the state may change,
good <--r-- bad      then the packet is lost with the probability of the state
"""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GilbertElliott:
    """Probabilities, 0 to 1. The defaults lose nothing. Raises ValueError for what is no probability."""

    p: float = 0.0
    """From good to bad, before each packet."""
    r: float = 1.0
    """From bad to good, before each packet."""
    loss_good: float = 0.0
    loss_bad: float = 1.0

    def __post_init__(self) -> None:
        for value in (self.p, self.r, self.loss_good, self.loss_bad):
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{value} is no probability")

    @classmethod
    def bursts(cls, loss: float, burst: float) -> GilbertElliott:
        """Loses ``loss`` (0 to 1) of all packets, in bursts of ``burst`` packets on average (1 or more).

        What comes between two bursts is one packet or more, so ``loss`` can't exceed burst / (burst + 1).
        """
        if not 0.0 <= loss < 1.0 or burst < 1.0:
            raise ValueError(f"{loss} and {burst} are no loss and length of bursts")
        r = 1.0 / burst
        return cls(p=r * loss / (1.0 - loss), r=r)

    @property
    def mean_loss(self) -> float:
        """Of all packets in the long run."""
        if self.p + self.r == 0.0:
            return self.loss_good
        bad = self.p / (self.p + self.r)
        return bad * self.loss_bad + (1.0 - bad) * self.loss_good


NO_LOSS = GilbertElliott()


class LossProcess:
    """Decides packet after packet. The same seed and the same calls give the same answers."""

    def __init__(self, model: GilbertElliott, seed: int | str) -> None:
        self.model = model
        """May be changed while it runs; the state is kept."""
        self._random = random.Random(seed)
        self._bad = False

    def loses_next(self) -> bool:
        # Two draws for every packet, so that a change of the model moves no later draw.
        change, fate = self._random.random(), self._random.random()
        self._bad = change >= self.model.r if self._bad else change < self.model.p
        return fate < (self.model.loss_bad if self._bad else self.model.loss_good)
