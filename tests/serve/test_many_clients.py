"""Under load, with workers killed and under attack, a small version of ``scripts/bench_serve.py``."""

import asyncio

import bench_serve
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("serve")]

MODELS = "pp-ocrv6-tiny"
NAMES = ("cnocr_helloworld.jpg", "rapid_short.png", "cnocr_rand_cn1.png", "rapid_en.jpg", "rapid_text_rec.jpg")


@pytest.fixture(scope="module")
def pictures(shared_dir):
    return bench_serve.read_pictures(MODELS, [shared_dir / "images" / name for name in NAMES])


def test_no_answer_is_lost_or_swapped_and_health_keeps_answering(pictures):
    with bench_serve.service(MODELS, 2) as (host, port, pid):
        seen = asyncio.run(bench_serve.load(host, port, pid, pictures, 120, 24))
    assert seen.statuses == {200: 120}
    assert seen.wrong == []
    assert len(seen.health_ms) > 10


def test_killed_workers_cost_at_most_one_request_each(pictures):
    with bench_serve.service(MODELS, 2, "--timeout", "120") as (host, port, pid):
        seen = asyncio.run(bench_serve.load(host, port, pid, pictures, 150, 16, kill=0.5))
    assert seen.kills > 0
    assert set(seen.statuses) <= {200, 503}
    assert seen.statuses[503] <= seen.kills
    assert seen.statuses.total() == 150
    assert seen.wrong == []


def test_hostile_requests_get_a_4xx_and_cost_no_worker(pictures):
    with bench_serve.service(MODELS, 2, "--body-timeout", "1") as (host, port, _):
        statuses, odd = asyncio.run(bench_serve.attack(host, port, pictures[0].data, 150, 32))
        assert odd == []
        assert len(statuses) > 20
        assert asyncio.run(bench_serve.worker_ends(host, port)) == 0
