"""Distances between distributions as plain numbers."""
