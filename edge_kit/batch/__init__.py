"""Bulk runs, ``edge-kit batch``: any number of pictures in, a row for each out, in shards that survive interruptions.

In: folders, globs, lists and tar archives, and a pipeline's settings. Out: a folder with the run's description, a
manifest of the inputs, shards of rows, and a log of the shards that are complete.
"""
