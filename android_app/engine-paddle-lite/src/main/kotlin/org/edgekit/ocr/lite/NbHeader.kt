package org.edgekit.ocr.lite

import org.edgekit.ocr.ModelException

/**
 * What the first bytes of a `.nb` file say, and whether its kernels compute in half precision.
 *
 * Layout (Paddle Lite, little-endian): u16 version of the format (2), 16 bytes with opt's version as a C string, u64
 * size of the topology, topology, parameters.
 */
data class NbHeader(val optVersion: String, val usesFp16: Boolean) {
    companion object {
        private const val FORMAT = 2
        private const val SIZE = 26
        private const val HINT = "install the app again, or build it anew"

        /** Precision 5 is Paddle Lite's number for fp16; a kernel is named `op/alias/target/precision/layout`. */
        private val fp16Kernel = Regex("[a-z0-9_]+/[a-z0-9_]+/\\d{1,2}/5/\\d{1,2}")

        /** Reads [nb]; [name] names the file in errors. Throws [ModelException] when it is none or is cut off. */
        fun read(nb: ByteArray, name: String): NbHeader {
            if (nb.size < SIZE) throw ModelException("$name holds ${nb.size} bytes: too few for a .nb file", HINT)
            val format = unsigned(nb, 0, 2)
            if (format != FORMAT.toLong()) throw ModelException("$name is no .nb file of format $FORMAT", HINT)
            val version = cString(nb, 2, 16)
            if (!Regex("v?\\d[ -~]*").matches(version)) {
                throw ModelException("$name has no version of opt in its header", HINT)
            }
            val topology = unsigned(nb, 18, 8)
            if (topology <= 0 || topology > nb.size - SIZE) {
                throw ModelException("$name is cut off: its topology has $topology bytes, the file ${nb.size}", HINT)
            }
            // Bytes as Latin-1: the names of kernels are ASCII, whatever else is around them.
            val words = String(nb, SIZE, topology.toInt(), Charsets.ISO_8859_1)
            return NbHeader(version, fp16Kernel.containsMatchIn(words))
        }

        private fun unsigned(bytes: ByteArray, at: Int, count: Int): Long =
            (count - 1 downTo 0).fold(0L) { value, index -> (value shl 8) or (bytes[at + index].toLong() and 0xff) }

        private fun cString(bytes: ByteArray, at: Int, room: Int): String {
            val end = (at until at + room).firstOrNull { bytes[it] == 0.toByte() } ?: (at + room)
            return String(bytes, at, end - at, Charsets.ISO_8859_1)
        }
    }
}

/** Returns a version in one spelling: `v2.14-rc` (opt's own) and `2.14rc0` (of its Python wheel) agree. */
fun normaliseVersion(text: String): String {
    val match = Regex("v?(\\d+(?:\\.\\d+)*)(?:[-.]?rc\\.?(\\d*))?").matchEntire(text) ?: return text
    val (number, candidate) = match.destructured
    return if (!text.contains("rc")) number else "${number}rc${candidate.ifEmpty { "0" }}"
}
