"""The rules of the PIR reader against Paddle itself: small networks that Paddle 3 saved compute the same bits."""

import numpy as np
import pytest

from model_opt.formats import read_model
from model_opt.paddle_model import write_model
from tests.model_opt.formats.published import predictor

pytestmark = pytest.mark.integration


def networks():
    """Return functions of a tensor [-1, 3, -1, 32] and the layers they take."""
    import cv2  # noqa: F401
    import paddle
    from paddle import nn
    from paddle.nn import functional as f

    def parts(pieces):
        first, second, third = pieces
        return first * second + third

    def heads(x, inner):
        h = inner(x.flatten(2, 3).transpose([0, 2, 1])).reshape([0, -1, 3, 2, 4]).transpose([2, 0, 3, 1, 4])
        return f.softmax(paddle.matmul(h[0] * 0.25, h[1].transpose([0, 1, 3, 2])), axis=-1) @ h[2]

    def activations(x):
        smooth = f.gelu(x) + f.gelu(x, approximate=True) + f.softmax(x, axis=1) + f.leaky_relu(x, 0.1)
        return smooth + f.relu6(x) + f.sigmoid(x) + paddle.tanh(x) + f.silu(x) + f.hardswish(x) + f.hardsigmoid(x)

    def arithmetic(x):
        roots = paddle.sqrt(paddle.square(x) + 1.0) + paddle.rsqrt(paddle.square(x) + 1.0) + paddle.exp(-paddle.abs(x))
        power = paddle.pow(paddle.abs(x) + 0.5, paddle.to_tensor(1.5))
        return paddle.maximum(x * 2.0 + 1.0, x - 0.5) / (paddle.abs(x) + 1.0) + paddle.minimum(x, x * x) + roots + power

    def reductions(x):
        kept = paddle.mean(x, axis=[2, 3], keepdim=True) + paddle.sum(x, axis=1, keepdim=True) + paddle.mean(x)
        return kept + paddle.max(x, axis=[-1], keepdim=True) + paddle.min(x, axis=-2, keepdim=True)

    def dropouts(x):
        return f.dropout(x, 0.3, training=False, mode="downscale_in_infer") + f.dropout(x, 0.3, training=False)

    def sizes(x):
        return paddle.reshape(x, [paddle.shape(x)[0], 3, paddle.shape(x)[2] * 1, -1])

    return {
        "activations": (activations, ()),
        "arithmetic": (arithmetic, ()),
        "reductions": (reductions, ()),
        "clip": (lambda x: paddle.clip(x, -0.5, 0.7), ()),
        "pools": (lambda x: f.max_pool2d(x, 2, 2) + f.avg_pool2d(x, 3, 2, 1) + f.adaptive_avg_pool2d(x, 1), ()),
        "convolutions": (
            lambda x, a, b, c, d: d(c(f.relu(b(a(x))))),
            (
                nn.Conv2D(3, 8, 3, 2, 1), nn.Conv2D(8, 8, 3, 1, 1, groups=8), nn.BatchNorm2D(8),
                nn.Conv2DTranspose(8, 4, 2, 2),
            ),
        ),
        "norms": (
            lambda x, a, b, c, d: c(b(a(x))) + d(x),
            (nn.Conv2D(3, 3, 1), nn.InstanceNorm2D(3), nn.GroupNorm(3, 3), nn.LayerNorm([32])),
        ),
        "interpolation": (
            lambda x: f.interpolate(x, scale_factor=2) + f.interpolate(x, scale_factor=2, mode="bilinear"), (),
        ),
        "splits": (lambda x: parts(paddle.split(x, 3, axis=1)) + paddle.split(x, [1, 2], axis=1)[1][:, :1], ()),
        "shapes": (lambda x: x.flatten(2, 3).transpose([0, 2, 1]).reshape([0, -1, 3]).unsqueeze(1).squeeze(1), ()),
        "computed sizes": (sizes, ()),
        "stack": (lambda x: paddle.stack([x, x * 2.0], axis=1)[:, 1], ()),
        "concat": (lambda x: paddle.concat([x, x + 1.0], axis=-3), ()),
        "expansion": (lambda x: paddle.expand(paddle.mean(x, axis=1, keepdim=True), [-1, 3, -1, -1]) + x, ()),
        "products": (lambda x, a: a(paddle.matmul(x, x, transpose_x=True)), (nn.Linear(32, 5),)),
        "dropout": (dropouts, ()),
        "casts": (lambda x: paddle.cast(paddle.cast(x, "int32"), "float32") + x, ()),
        "attention": (heads, (nn.Linear(3, 24),)),
    }  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Save each network by Paddle; return a folder for each name."""
    paddle = pytest.importorskip("paddle")
    paddle.disable_static()  # what other tests of this process have used turns static mode on
    made = {}
    for name, (function, layers) in networks().items():
        made[name] = _save(function, layers, tmp_path_factory.mktemp("net"))
    return made


def _save(function, layers, folder):
    import paddle
    from paddle import nn

    class Net(nn.Layer):
        def __init__(self):
            super().__init__()
            self.layers = nn.LayerList(layers)
            self.weight = self.create_parameter([1])  # Paddle does not load a model without parameters

        def forward(self, x):
            return function(x + self.weight, *list(self.layers))

    paddle.seed(3)
    net = Net()
    net.eval()
    spec = paddle.static.InputSpec([None, 3, None, 32], "float32", name="x")
    paddle.jit.save(paddle.jit.to_static(net, input_spec=[spec], full_graph=True), str(folder / "inference"))
    return folder


NAMES = (
    "activations", "arithmetic", "reductions", "clip", "pools", "convolutions", "norms", "interpolation", "splits",
    "shapes", "computed sizes", "stack", "concat", "expansion", "products", "dropout", "casts", "attention",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_what_is_read_computes_what_paddle_computes(saved, name, tmp_path):
    program, params = saved[name] / "inference.json", saved[name] / "inference.pdiparams"
    files = tmp_path / "a.pdmodel", tmp_path / "a.pdiparams"
    write_model(read_model(program, params), *files)
    original, made = predictor(program, params), predictor(*files)
    for shape in ((1, 3, 32, 32), (2, 3, 16, 32)):
        x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
        before, after = original(x), made(x)
        assert before.shape == after.shape
        # silu is swish in the classic form, which Paddle computes in another order
        allowed = 2e-6 if name == "activations" else 0
        np.testing.assert_allclose(after, before, rtol=allowed, atol=allowed)


def test_every_network_is_tried(saved):
    assert set(saved) == set(NAMES)
