"""Makers of the reference data; the entry is tools/make_golden.py."""
