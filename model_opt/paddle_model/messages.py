"""Message types of protocol buffers, made from tables and kept apart from those of every other library.

Paddle and onnx register message types of these names in protobuf's default pool, where a name may stand only once.
Each table has a separate pool. Text is ``bytes`` here: foreign files hold names that are no UTF-8. What a table
does not list (a later format may add fields) stays in the message and is written back behind the listed fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model_opt.paddle_model.errors import fault

Table = Mapping[str, Mapping[str, tuple[int, str, str]]]
"""For each message its fields: number; ``optional``, ``required`` or ``repeated``; a scalar type or a message."""


def message_classes(table: Table) -> Mapping[str, Any]:
    """Return the classes of the messages in ``table`` by their names."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    rules = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="table.proto", package="table")
    for name, fields in table.items():
        message = file.message_type.add(name=name)
        for field, (number, label, kind) in fields.items():
            made = message.field.add(name=field, number=number, label=rules.Label.Value(f"LABEL_{label.upper()}"))
            made.type = rules.TYPE_MESSAGE if kind in table else rules.Type.Value(f"TYPE_{kind.upper()}")
            if kind in table:
                made.type_name = f".table.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"table.{name}")) for name in table}


def parse(kind: Any, data: bytes, path: Path | None, offset: int | None = None) -> Any:
    """Return the message of class ``kind`` in ``data``.

    Raises ``PaddleModelError`` for bytes that are no message, and for one without a required field. ``path`` and
    ``offset`` say where ``data`` stands.
    """
    from google.protobuf.message import DecodeError

    name = kind.DESCRIPTOR.name
    try:
        message = kind.FromString(data)
    except DecodeError:
        fault(name, "a message of protocol buffers", "bytes that are none", path=path, offset=offset)
    if not message.IsInitialized():
        fault(name, f"the field {message.FindInitializationErrors()[0]}", "nothing", path=path, offset=offset)
    return message


def rest(message: Any, *known: str) -> bytes:
    """Return the fields of a message that was read except ``known``, encoded. The message loses the known ones."""
    for name in known:
        message.ClearField(name)
    return bytes(message.SerializePartialToString())


def to_text(data: bytes) -> str:
    """Return a text field. Bytes that are not UTF-8 survive as surrogates."""
    return data.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    """Return the bytes of a text field; surrogates of ``to_text`` become the bytes they came from."""
    return text.encode("utf-8", "surrogateescape")
