"""What the kit does from end to end: build a bundle, quantise models, verify a bundle.

In: a request. Out: a bundle, files, a verification. A job plans stages (``edge_kit.stages``) on a runner
(``edge_kit.build``) and decides what to do with their results.
"""
