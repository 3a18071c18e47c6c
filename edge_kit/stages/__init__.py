"""What each stage of the main job does: fetch -> convert -> verify -> configure -> report.

In: a ``BuildRequest``. Out: a bundle. How stages are run, cached and written is ``edge_kit.build``'s business.
"""
