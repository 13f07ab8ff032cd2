"""Checks the plans of all queries over 100,000 rows: no sequential scans, no needless sorting.

The statements are the ones that the queries send. A failure prints the plan.
"""
