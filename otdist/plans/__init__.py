"""Transport plans: arcs with masses, flows on edges, entropic plans as operators."""
