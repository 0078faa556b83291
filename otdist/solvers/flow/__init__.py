"""Transport by flows on a graph: each edge both ways, without limits (Beckmann)."""
