"""The service ``edge-kit serve``: PaddleX's HTTP interface in front of worker processes that hold the pipelines.

In: HTTP requests. Out: answers in the schema of the request. The front process (``server``, ``app``, ``pool``) limits,
queues and routes and never looks into a body; a worker (``worker``) parses, decodes, reads, draws and writes JSON.
"""
