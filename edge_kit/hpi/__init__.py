"""High-performance inference: which way to run a set of models is quickest here, measured on this machine.

In: a pipeline's settings. Out: a ``Plan`` whose boxes and texts equal the default's, or the default; the table of what
was tried.
"""
