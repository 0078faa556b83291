"""1-Lipschitz functions that tell two distributions apart, and intervals for their W1."""

from otdist.critics.kr_dual import Critic, Interval

__all__ = ["Critic", "Interval"]
