"""Transport plans: arcs with masses, flows on edges, entropic plans as operators."""

from otdist.plans.plans import Flow

__all__ = ["Flow"]
