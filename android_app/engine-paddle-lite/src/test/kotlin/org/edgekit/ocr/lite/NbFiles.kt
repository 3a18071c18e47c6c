package org.edgekit.ocr.lite

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** Returns a file with the frame of a real `.nb`: header, a topology that names [kernels], some parameters. */
fun nbBytes(version: String = "v2.14-rc", kernels: List<String> = listOf("conv2d/def/4/1/1")): ByteArray {
    val topology = ByteArray(64) { (it * 37).toByte() } + kernels.joinToString("\u0000").toByteArray() + ByteArray(8)
    val buffer = ByteBuffer.allocate(26 + topology.size + 32).order(ByteOrder.LITTLE_ENDIAN)
    buffer.putShort(2)
    buffer.put(version.toByteArray().copyOf(16))
    buffer.putLong(topology.size.toLong())
    buffer.put(topology)
    return buffer.array()
}
