"""Runs that leave a directory: what was set, what happened, and what one makes of it afterwards.

directory.py says which files there are, recorder.py writes them while a network runs, report.py draws them
and compare.py finds where two runs differ.
"""
