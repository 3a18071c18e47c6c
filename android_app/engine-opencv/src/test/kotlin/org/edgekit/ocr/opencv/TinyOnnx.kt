package org.edgekit.ocr.opencv

import java.io.ByteArrayOutputStream

/** An ONNX file of one operator on an input [1, 3, 4, 4], encoded as protocol buffers here. */
fun tinyOnnx(operator: String): ByteArray {
    val node = text(1, "x") + text(2, "y") + text(3, "node") + text(4, operator)
    val graph = bytes(1, node) + text(2, "graph") + bytes(11, tensorInfo("x")) + bytes(12, tensorInfo("y"))
    return number(1, 8) + bytes(7, graph) + bytes(8, text(1, "") + number(2, 13))
}

private fun tensorInfo(name: String): ByteArray {
    val float32 = 1L
    val shape = listOf(1L, 3L, 4L, 4L).map { bytes(1, number(1, it)) }.reduce { a, b -> a + b }
    return text(1, name) + bytes(2, bytes(1, number(1, float32) + bytes(2, shape)))
}

private fun number(field: Int, value: Long): ByteArray = varint(field.toLong() shl 3) + varint(value)

private fun text(field: Int, value: String): ByteArray = bytes(field, value.toByteArray())

private fun bytes(field: Int, value: ByteArray): ByteArray =
    varint((field.toLong() shl 3) or 2) + varint(value.size.toLong()) + value

private fun varint(value: Long): ByteArray {
    val out = ByteArrayOutputStream()
    var rest = value
    while (rest >= 0x80) {
        out.write((rest and 0x7f or 0x80).toInt())
        rest = rest ushr 7
    }
    out.write(rest.toInt())
    return out.toByteArray()
}
