"""Validation of arguments."""
