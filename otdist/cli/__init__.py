"""The command line ``otdist``."""
