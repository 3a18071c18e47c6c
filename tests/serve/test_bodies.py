"""Every kind of body becomes the same request, and a wrong one a 422 in PaddleX's form."""

import base64
import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_kit.serve.bodies import parse_body, resumed
from edge_kit.serve.errors import RequestError
from edge_kit.serve.schemas import log_id_in

DATA = b"\x89PNG not really"
TEXT = base64.b64encode(DATA).decode()


def from_json(**values):
    return parse_body("application/json; charset=utf-8", "", json.dumps(values).encode())


def form(*parts: tuple[str, str | None, bytes], boundary: str = "B") -> tuple[str, bytes]:
    body = b""
    for name, file, data in parts:
        named = f'; filename="{file}"' if file is not None else ""
        body += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + data + b"\r\n"
        )
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


def faults(error: pytest.ExceptionInfo[RequestError]) -> list[dict[str, str]]:
    assert error.value.status == 422
    return json.loads(error.value.what)


def test_json_with_file_is_todays_and_with_image_that_of_beta1():
    today = from_json(file=TEXT, fileType=1, textDetThresh=0.4, logId="mine", unknown=[1])
    assert (today.schema, today.data, today.options.textDetThresh, today.options.logId) == ("today", DATA, 0.4, "mine")
    early = from_json(image=TEXT, inferenceParams={"maxLongSide": 736})
    assert (early.schema, early.data, early.max_long_side) == ("early", DATA, 736)
    assert from_json(image=TEXT, file=TEXT).schema == "today"


def test_a_form_and_raw_bytes_are_todays():
    content_type, body = form(("file", "a.png", DATA), ("visualize", None, b"false"), ("fileType", None, b"1"))
    sent = parse_body(content_type, "", body)
    assert (sent.schema, sent.data, sent.options.visualize, sent.options.fileType) == ("today", DATA, False, 1)
    for kind in ("image/png", "application/pdf", "application/octet-stream"):
        raw = parse_body(kind, "visualize=false&textRecScoreThresh=0.5", DATA)
        assert (raw.schema, raw.data, raw.options.visualize, raw.options.textRecScoreThresh) == (
            "today",
            DATA,
            False,
            0.5,
        )


def test_a_form_may_hold_the_file_as_base64():
    content_type, body = form(("file", None, TEXT.encode()), ("fileType", None, b""))
    assert parse_body(content_type, "", body).data == DATA


def test_unknown_fields_are_noted():
    assert from_json(file=TEXT, textDetTresh=0.4, image="x").ignored == ("textDetTresh", "image")
    assert from_json(file=TEXT, textDetThresh=0.4).ignored == ()
    assert from_json(image=TEXT, inferenceParams={"maxSide": 5}, a=1).ignored == ("a", "inferenceParams.maxSide")
    assert from_json(image=TEXT, inferenceParams=None).ignored == ()
    content_type, body = form(("file", "a.png", DATA), ("Visualize", None, b"false"), ("more", "b.png", DATA))
    assert parse_body(content_type, "", body).ignored == ("Visualize", "more")
    content_type, body = form(("file", None, TEXT.encode()), ("Visualize", None, b"false"))
    assert parse_body(content_type, "", body).ignored == ("Visualize",)
    assert parse_body("image/png", "visualise=false&visualize=false", DATA).ignored == ("visualise",)
    kept = json.loads(json.dumps(from_json(file="https://example.org/a.pdf", x=1).without_data()))
    assert resumed(kept, DATA).ignored == ("x",)


@pytest.mark.parametrize(
    ("parts", "loc"),
    [
        ([("file", "a.png", DATA), ("file", "b.png", DATA)], "body.file"),
        ([("file", "a.png", DATA), ("file", None, TEXT.encode())], "body.file"),
        ([("file", "a.png", DATA), ("image", "b.png", DATA)], "body.image"),
        ([("file", "a.png", DATA), ("visualize", None, b"1"), ("visualize", None, b"0")], "body.visualize"),
    ],
)
def test_a_form_with_a_field_twice_is_422_and_says_so(parts, loc):
    with pytest.raises(RequestError) as error:
        parse_body(*(lambda kind, body: (kind, "", body))(*form(*parts)))
    assert [(fault["type"], fault["loc"]) for fault in faults(error)] == [("duplicate", loc)]
    assert "one file a request" in faults(error)[0]["msg"]


def test_an_option_twice_in_the_query_is_422():
    with pytest.raises(RequestError) as error:
        parse_body("image/png", "visualize=1&visualize=0", DATA)
    assert faults(error)[0]["loc"] == "query.visualize"


def test_an_address_is_kept_for_the_front_process():
    asked = from_json(file="https://example.org/a.pdf", visualize=False, logId="mine")
    assert (asked.url, asked.data) == ("https://example.org/a.pdf", None)
    again = resumed(json.loads(json.dumps(asked.without_data())), DATA)
    assert (again.data, again.options.visualize, again.options.logId, again.schema) == (DATA, False, "mine", "today")


def test_faults_name_type_place_and_message():
    with pytest.raises(RequestError) as error:
        from_json(fileType=3, textDetThresh=2, textDetLimitType="mid")
    assert {fault["loc"] for fault in faults(error)} == {
        "body.file", "body.fileType", "body.textDetThresh", "body.textDetLimitType",
    }  # fmt: skip
    assert {"type", "loc", "msg"} == set(faults(error)[0])
    with pytest.raises(RequestError) as error:
        from_json(image=TEXT, inferenceParams={"maxLongSide": 0})
    assert faults(error)[0]["loc"] == "body.inferenceParams.maxLongSide"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b"\xff\xfe"),
        ("application/json", b"[" * 100_000),
        ("application/json", b"[]"),
        ("application/json", b"null"),
        ("application/json", b'{"file": 5}'),
        ("application/json", b'{"file": ""}'),
        ("application/json", b'{"file": "a"}'),
        ("application/json", b'{"file": "AAAA", "textDetThresh": NaN}'),
        ("image/png", b""),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=B", b"x"),
        ("multipart/form-data; boundary=B", b"--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n--B--\r\n"),
        form(*[("a", None, b"b")] * 100),
    ],
)
def test_wrong_bodies_are_422(content_type, body):
    with pytest.raises(RequestError) as error:
        parse_body(content_type, "", body)
    assert error.value.status == 422


def test_base64_may_be_a_data_uri_or_url_safe_and_hold_line_breaks():
    data = b"\xfb\xef\xff" * 40 + b"?"  # '+' and '/' in base64
    plain = base64.b64encode(data).decode()
    safe = base64.urlsafe_b64encode(data).decode()
    lines = base64.encodebytes(data).decode().replace("\n", "\r\n")
    for text in (plain, safe, safe.rstrip("="), lines, f"data:image/jpeg;base64,{plain}", f"DATA:;BASE64,{safe}"):
        assert from_json(file=text).data == data
        assert from_json(image=text).data == data


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"image": "abc"}, "the base64 of the field 'image' is cut short, or its padding"),
        ({"file": TEXT[:-1]}, "the base64 of the field 'file' is cut short"),
        ({"file": "scans/photo.jpg"}, "the field 'file' is no base64: it holds '.'"),
        ({"file": "ab-_+/=="}, "it holds '-'"),
        ({"file": "ä" + TEXT}, "it holds 'ä'"),
        ({"file": TEXT + "=QUFB"}, "is cut short, or its padding"),
        ({"file": "data:image/png,abc"}, "is a data: URI without ';base64,'"),
        ({"file": "data:image/png;base64,"}, "it has 0 bytes"),
        ({"file": ""}, "it has 0 bytes"),
    ],
)
def test_a_file_that_is_no_base64_is_refused_with_the_reason_and_what_to_do(values, reason):
    with pytest.raises(RequestError) as error:
        from_json(**values)
    assert error.value.status == 422
    assert error.value.what.startswith("Invalid input file: ")
    assert reason in error.value.what
    assert "; send the base64" in error.value.what or "; check that" in error.value.what


def test_another_type_is_415():
    with pytest.raises(RequestError) as error:
        parse_body("text/html", "", b"x")
    assert error.value.status == 415


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["application/json", "multipart/form-data; boundary=B", "image/png", "", "text/plain; x"]),
    st.text(max_size=40),
    st.binary(max_size=300) | st.binary(max_size=200).map(lambda data: b"--B\r\n" + data + b"\r\n--B--\r\n"),
)
def test_no_body_does_more_than_refuse(content_type, query, body):
    with suppress(RequestError):
        parse_body(content_type, query, body)


def test_a_log_id_is_found_in_a_body_that_cannot_be_parsed():
    assert log_id_in(b'{"file": "x", "logId" : "mine", ') == "mine"
    assert log_id_in(b'{"note": "\\"logId\\": \\"x\\""}') is None
