"""Serve runs of one x86 .nb model over pipes until the request pipe closes.

Arguments: the folder that holds paddlelite and numpy, the model, the budget in bytes for predictors that are kept,
the file descriptor for replies. Requests come on standard input; standard output and error are left to Paddle Lite,
which logs to both.

A message is a header of 8 + 4 + 4 bytes ("EKTENSOR" or "EKFAILED", the number of dimensions, 0), the dimensions as
int64, then the data: float32 for a tensor, UTF-8 text (one dimension: its bytes) for a failure. All little-endian.
The first message is a tensor of no dimensions and one value: the model is loaded.

Paddle Lite's x86 engine answers wrong numbers, or corrupts its heap, when the input shape of a predictor changes.
So each shape has a predictor of its own. They are kept while they fit the budget; the oldest go first.
"""

import os
import resource
import select
import struct
import sys
from collections import OrderedDict

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
sys.path.insert(0, sys.argv[1])

import numpy as np  # noqa: E402
from paddlelite.lite import MobileConfig, create_paddle_predictor  # noqa: E402

HEADER = struct.Struct("<8sII")
TENSOR = b"EKTENSOR"
FAILED = b"EKFAILED"
PAGE = os.sysconf("SC_PAGE_SIZE")


class Predictors(object):
    """One predictor for each input shape, bounded by the memory they hold."""

    def __init__(self, model, budget):
        self._model = model
        self._budget = budget
        self._kept = OrderedDict()  # shape -> (predictor, input array, bytes)
        self._bytes_per_value = 0.0

    def run(self, x):
        shape = x.shape
        if shape in self._kept:
            predictor, _, size = self._kept.pop(shape)
            y = self._forward(predictor, x)
        else:
            self._make_room(x.size * self._bytes_per_value)
            before = resident()
            predictor = self.load()
            y = self._forward(predictor, x)
            size = max(resident() - before, 0)
            self._bytes_per_value = max(self._bytes_per_value, float(size) / x.size)
        # The predictor may still point into the array it was given: both live and go together.
        self._kept[shape] = (predictor, x, size)
        del predictor
        self._make_room(0)
        return y

    def load(self):
        config = MobileConfig()
        config.set_model_from_buffer(self._model)
        return create_paddle_predictor(config)

    def _forward(self, predictor, x):
        predictor.get_input(0).from_numpy(x)
        predictor.run()
        y = predictor.get_output(0).numpy()
        if y.dtype != np.float32:
            raise TypeError("the model's first output is %s, not float32" % y.dtype)
        return np.array(y, order="C")  # the engine's own memory changes with the next run

    def _make_room(self, coming):
        while self._kept and sum(entry[2] for entry in self._kept.values()) + coming > self._budget:
            self._kept.popitem(last=False)


def resident():
    """Return the bytes of memory that this process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE


def read_exactly(fd, count, parent):
    """Return count bytes, or None when the other end is gone."""
    data = bytearray(count)
    view = memoryview(data)
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while view:
        if not poll.poll(5000):
            # A forked sibling may hold the pipe open after our starter has died.
            if os.getppid() != parent:
                return None
            continue
        got = os.readv(fd, [view])
        if got == 0:
            return None
        view = view[got:]
    return data


def write_all(fd, data):
    view = memoryview(data).cast("B")
    while view:
        view = view[os.write(fd, view[: 1 << 20]):]


def reply(fd, kind, dims, data):
    write_all(fd, HEADER.pack(kind, len(dims), 0) + struct.pack("<%dq" % len(dims), *dims))
    write_all(fd, data)


def read_request(fd, parent):
    """Return the next input tensor, or None when there will be none."""
    header = read_exactly(fd, HEADER.size, parent)
    if header is None:
        return None
    _, ndim, _ = HEADER.unpack(header)
    dims = read_exactly(fd, 8 * ndim, parent)
    if dims is None:
        return None
    shape = struct.unpack("<%dq" % ndim, dims)
    count = 1
    for dim in shape:
        count *= dim
    data = read_exactly(fd, 4 * count, parent)
    return None if data is None else np.frombuffer(data, dtype="<f4").reshape(shape)


def die_first():
    """Let the kernel end this process, not its starter, when a large image exhausts the memory."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    except (IOError, OSError):
        pass  # not every container allows it


def main():
    parent = os.getppid()
    die_first()
    replies = int(sys.argv[4])
    requests = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    with open(sys.argv[2], "rb") as file:
        predictors = Predictors(file.read(), int(sys.argv[3]))
    predictors.load()
    reply(replies, TENSOR, (), np.zeros(1, "<f4"))
    while True:
        x = read_request(requests, parent)
        if x is None:
            return
        try:
            y = predictors.run(x)
        except (TypeError, ValueError, RuntimeError, MemoryError) as error:
            text = ("%s: %s" % (type(error).__name__, error)).encode("utf-8")
            reply(replies, FAILED, (len(text),), text)
        else:
            reply(replies, TENSOR, y.shape, y)


try:
    main()
except BrokenPipeError:
    pass  # nobody waits for the reply any more
sys.stdout.flush()
sys.stderr.flush()
# The destructors of the engine's libraries have nothing left to do but to fail.
os._exit(0)
