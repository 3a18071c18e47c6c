"""The front process holds its limits, and a fault costs nobody but the request that made it."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest

from edge_kit.api import check_pipeline
from edge_kit.serve.server import Server, listen, run
from edge_kit.serve.settings import ServeSettings, check_settings
from model_opt.errors import KitError
from tests.serve.running import STUB, metric, running, stub, wait_until

MIB = 1 << 20


def ask(client, **asked):
    return client.post("/ocr", json=asked)


def raw(client, data: bytes, seconds: float = 10.0) -> bytes:
    """Send bytes on a connection of its own; return what comes until the service closes it."""
    with socket.create_connection((client.base_url.host, client.base_url.port), timeout=seconds) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(data)
        got = b""
        with contextlib.suppress(ConnectionResetError):
            while more := connection.recv(65536):
                got += more
        return got


def test_answers_come_from_a_worker_and_each_client_gets_its_own():
    with running(replace(STUB, workers=2)) as client, ThreadPoolExecutor(16) as clients:
        answers = list(clients.map(lambda n: (n, ask(client, echo=n).json()["echo"]), range(60)))
    assert all(asked == got for asked, got in answers)


def test_ignored_fields_are_named_in_a_header_that_holds_whatever_they_are_called():
    names = ["textDetTresh", "a, b\r\nX-Evil: 1", "\u4e2d\ud800", "n" * 1000]
    with running(STUB) as client:
        assert "x-ignored-fields" not in ask(client).headers
        answer = client.post("/ocr", content=json.dumps({"ignored": names}))
        many = ask(client, ignored=[f"f{number}" for number in range(99)])
    encoded = f"textDetTresh, a%2C%20b%0D%0AX-Evil%3A%201, %E4%B8%AD%3F, {'n' * 64}"
    assert answer.headers["x-ignored-fields"] == encoded
    assert "x-evil" not in answer.headers
    assert many.headers["x-ignored-fields"].endswith("f19, ...")


def test_health_answers_while_every_worker_is_busy():
    with running(STUB) as client, ThreadPoolExecutor(1) as clients:
        busy = clients.submit(ask, client, sleep=1)
        time.sleep(0.2)
        answer = client.get("/health")
        assert not busy.done()
        assert answer.json()["errorCode"] == 0
        assert answer.json()["errorMsg"] == "Healthy"
        assert busy.result().status_code == 200


def test_a_full_queue_answers_429_with_a_time_to_come_again():
    with running(stub(queue=1)) as client, ThreadPoolExecutor(4) as clients:
        answers = [call.result() for call in [clients.submit(ask, client, sleep=0.5) for _ in range(4)]]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 2
    assert 1 <= int(refused[0].headers["retry-after"]) <= 60
    assert refused[0].json()["errorCode"] == 429


def test_the_deadline_is_504_in_a_worker_and_503_in_the_queue():
    with running(stub(seconds=0.5)) as client, ThreadPoolExecutor(2) as clients:
        slow = clients.submit(ask, client, sleep=30, logId="mine")
        wait_until(lambda: metric(client, "edge_kit_waiting_requests") == 0)
        time.sleep(0.1)
        waiting = clients.submit(ask, client, sleep=30)
        assert slow.result().status_code == 504
        assert slow.result().json()["logId"] == "mine"
        assert waiting.result().status_code in (503, 504)
        wait_until(lambda: ask(client).status_code == 200)
        assert metric(client, 'edge_kit_worker_ends_total{reason="deadline"}') >= 1


def test_a_worker_that_dies_costs_its_own_request_and_is_replaced():
    with running(replace(STUB, workers=2)) as client, ThreadPoolExecutor(8) as clients:
        calls = [clients.submit(ask, client, echo=n, **({"exit": 1} if n == 3 else {})) for n in range(12)]
        statuses = [call.result().status_code for call in calls]
        assert statuses == [503 if n == 3 else 200 for n in range(12)]
        wait_until(lambda: metric(client, "edge_kit_workers") == 2)


def test_an_idle_worker_that_is_killed_is_replaced_and_no_request_fails():
    with running(STUB) as client:
        first = ask(client).json()["pid"]
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: metric(client, 'edge_kit_worker_ends_total{reason="died"}') == 1)
        wait_until(lambda: metric(client, "edge_kit_workers") == 1)
        assert ask(client).json()["pid"] != first


def test_a_worker_that_outgrows_its_memory_is_replaced():
    with running(stub(worker_memory=300 * MIB)) as client:
        answer = ask(client, hold=400)
        assert answer.status_code == 503
        assert "memory" in answer.json()["errorMsg"]
        assert ask(client).status_code == 200
        assert metric(client, 'edge_kit_worker_ends_total{reason="memory"}') == 1


def test_a_client_that_leaves_takes_its_request_out_of_the_queue():
    with running(STUB) as client, ThreadPoolExecutor(1) as clients:
        clients.submit(ask, client, sleep=1)
        wait_until(lambda: metric(client, "edge_kit_worker_resident_bytes") >= 0)
        time.sleep(0.1)
        with pytest.raises(httpx.ReadTimeout):
            client.post("/ocr", json={"echo": 1}, timeout=0.2)
        wait_until(lambda: metric(client, "edge_kit_waiting_requests") == 0, 0.7)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_413(chunked):
    body = (b"x" * 65536 for _ in range(40)) if chunked else b"x" * 40 * 65536
    with running(stub(body_bytes=MIB)) as client:
        answer = client.post("/ocr", content=body)
        assert answer.status_code == 413
        assert answer.json()["errorCode"] == 413
        assert ask(client).status_code == 200
        assert metric(client, "edge_kit_buffered_bytes") == 0


def test_a_stated_length_over_the_limit_is_refused_before_the_body_comes():
    with running(stub(body_bytes=MIB)) as client:
        begin = time.monotonic()
        got = raw(client, b"POST /ocr HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 413")
        assert time.monotonic() - begin < 9


def test_all_bodies_together_have_a_bound():
    with running(stub(buffered_bytes=3 * MIB)) as client, ThreadPoolExecutor(2) as clients:
        first = clients.submit(client.post, "/ocr", content=json.dumps({"sleep": 1, "x": "y" * 2 * MIB}))
        time.sleep(0.4)
        assert client.post("/ocr", content=b"x" * 2 * MIB).status_code == 503
        assert first.result().status_code == 200


def test_a_slow_body_is_408():
    with running(stub(body_seconds=0.3)) as client:
        got = raw(client, b"POST /ocr HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        assert got.startswith(b"HTTP/1.1 408")
        assert ask(client).status_code == 200


def test_a_slow_or_endless_head_ends_the_connection():
    with running(stub(header_seconds=0.5)) as client:
        assert raw(client, b"POST /ocr HTTP/1.1\r\nHost:") == b""
        assert raw(client, b"") == b""
        assert raw(client, b"GET / HTTP/1.1\r\nX: " + b"y" * 70000).startswith(b"HTTP/1.1 400")
        assert raw(client, b"\x16\x03\x01 not http\r\n\r\n").startswith(b"HTTP/1.1 400")
        assert ask(client).status_code == 200


def test_a_request_longer_than_the_idle_time_is_not_cut_off():
    with running(stub(header_seconds=0.3)) as client:
        assert ask(client, sleep=1).status_code == 200


def test_an_api_key_is_asked_for():
    key = "a key of many letters"
    with running(replace(STUB, api_key=key)) as client:
        assert client.get("/metrics").status_code == 401
        refused = ask(client)
        assert refused.status_code == 401
        assert refused.json()["errorCode"] == 401
        assert client.post("/ocr", json={}, headers={"X-API-Key": key + "x"}).status_code == 401
        assert client.post("/ocr", json={}, headers={"X-API-Key": key}).status_code == 200
        assert client.post("/ocr", json={}, headers={"Authorization": f"Bearer {key}"}).status_code == 200
        assert client.get("/health").status_code == 200


def test_a_short_key_is_refused():
    with pytest.raises(KitError, match="fewer than 16"):
        check_settings(ServeSettings(api_key="short"))


def test_unknown_routes_and_methods_answer_in_the_same_form():
    with running(STUB) as client:
        assert client.get("/nowhere").json()["errorCode"] == 404
        assert client.get("/ocr").json()["errorCode"] == 405


def test_the_pages_load_nothing_from_elsewhere():
    with running(STUB) as client:
        for path in ("/", "/docs"):
            page = client.get(path)
            assert page.status_code == 200
            assert "http://" not in page.text.replace("http://www.w3.org/", "")
            assert "https://" not in page.text
            assert page.headers["content-security-policy"].startswith("default-src 'none'")
        described = client.get("/openapi.json").json()
        assert set(described["paths"]) == {"/ocr", "/health", "/ready", "/metrics"}
        assert "multipart/form-data" in described["paths"]["/ocr"]["post"]["requestBody"]["content"]


def test_models_that_do_not_load_end_the_service_with_the_workers_message():
    server = Server(replace(STUB, options={"fail": "no such model"}))
    listener = listen("127.0.0.1", 0)
    found = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(server.run_until_signal(listener))))
    thread.start()
    thread.join(30)
    listener.close()
    assert "no such model" in str(found[0])


def test_what_can_be_refused_without_a_model_is_refused_before_the_service_listens():
    settings = replace(STUB, worker="edge_kit.serve.worker", options={"bundle": "/nope"})
    with pytest.raises(KitError, match=r"there is no such folder\n  file: /nope"):
        run(settings, lambda address: pytest.fail("it listens"))


@pytest.mark.parametrize(
    ("pipeline", "options", "message"),
    [
        ("ocr", {"bundle": "/nope"}, "there is no such folder"),
        ("/nope.yaml", {}, "no such pipeline"),
        ("ocr", {"det_model": "no-such-model"}, "no-such-model"),
        ("ocr", {"rec_model": "/nope/rec"}, "/nope/rec"),
        ("ocr", {"rec_dict": "/nope.txt"}, "/nope.txt"),
        ("ocr", {"engine": "nb", "device": "npu"}, "npu"),
    ],
)
def test_a_pipeline_is_refused_by_its_names_before_a_model_is_fetched(pipeline, options, message):
    with pytest.raises(KitError) as error:
        check_pipeline(pipeline, **options)
    assert message in str(error.value)


def test_the_command_says_where_it_listens_and_then_that_it_is_ready():
    code = "from tests.serve.running import STUB; from edge_kit.cli.serve import run_serve; run_serve(STUB)"
    environment = {**os.environ, "PYTHONPATH": "."}
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, env=environment) as process:
        first = process.stderr.readline()
        address = next(word for word in first.split() if word.startswith("http://"))
        assert first.startswith("edge-kit: listening on http://127.0.0.1:")
        assert process.stderr.readline() == "edge-kit: ready: the first worker has its models loaded\n"
        assert httpx.get(f"{address}/ready", trust_env=False).status_code == 200
        process.terminate()
        assert process.wait(30) == 0


def test_connections_send_at_once():
    """Otherwise each body waits for the client's delayed ACK of its head: 40 ms a request on Linux."""
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_port_in_use_is_said():
    with listen("127.0.0.1", 0) as first, pytest.raises(KitError, match="cannot listen"):
        listen("127.0.0.1", first.getsockname()[1])


@pytest.mark.skipif(not hasattr(signal, "SIGTERM") or sys.platform == "win32", reason="signals of POSIX")
def test_sigterm_lets_running_requests_end_and_leaves_no_process():
    code = (
        "from dataclasses import replace; from tests.serve.running import STUB; from edge_kit.serve.server import run;"
        "run(STUB, lambda address: print(address, flush=True)); print('ended', flush=True)"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "."}) as process:
        address = process.stdout.readline().strip()
        with httpx.Client(base_url=address, timeout=30, trust_env=False) as client, ThreadPoolExecutor(1) as clients:
            wait_until(lambda: client.get("/ready").status_code == 200)
            running_one = clients.submit(ask, client, sleep=1)
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            answer = running_one.result()
        assert answer.status_code == 200
        assert process.stdout.read() == "ended\n"
        assert process.wait(30) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(answer.json()["pid"], 0)
