"""Ground costs: a matrix, or points and a metric, or edges with lengths."""
