"""The problem, its constructors and marginals, the result and its gradients."""
