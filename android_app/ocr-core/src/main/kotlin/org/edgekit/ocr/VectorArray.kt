package org.edgekit.ocr

import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest
import org.json.JSONArray
import org.json.JSONObject

/** An array of a golden vector: raw little-endian values of [dtype] (numpy's name) in row-major order. */
internal class VectorArray(val dtype: String, val shape: IntArray, private val bytes: ByteBuffer) {
    val size: Int get() = shape.fold(1) { product, side -> product * side }

    fun bytes(): ByteArray = ByteArray(size).also { buffer().get(it) }

    fun floats(): FloatArray = FloatArray(size).also { buffer().asFloatBuffer().get(it) }

    fun ints(): IntArray = IntArray(size).also { buffer().asIntBuffer().get(it) }

    fun doubles(): DoubleArray = DoubleArray(size).also { buffer().asDoubleBuffer().get(it) }

    fun sha256(): String {
        val digest = MessageDigest.getInstance("SHA-256")
        digest.update(buffer())
        return hex(digest.digest())
    }

    /** Returns how many values differ in their bits from those of [other], an array of the same shape. */
    fun differences(other: VectorArray): Int {
        val mine = buffer()
        val others = other.buffer()
        val width = if (size == 0) 1 else mine.remaining() / size
        return (0 until size).count { i -> (0 until width).any { mine.get(i * width + it) != others.get(i * width + it) } }
    }

    private fun buffer(): ByteBuffer = bytes.duplicate().order(ByteOrder.LITTLE_ENDIAN)

    companion object {
        fun of(values: ByteArray, vararg shape: Int) = VectorArray("uint8", shape, ByteBuffer.wrap(values))

        fun of(values: FloatArray, vararg shape: Int): VectorArray {
            val bytes = allocate(4 * values.size)
            bytes.asFloatBuffer().put(values)
            return VectorArray("float32", shape, bytes)
        }

        fun of(values: IntArray, vararg shape: Int): VectorArray {
            val bytes = allocate(4 * values.size)
            bytes.asIntBuffer().put(values)
            return VectorArray("int32", shape, bytes)
        }

        fun of(values: DoubleArray, vararg shape: Int): VectorArray {
            val bytes = allocate(8 * values.size)
            bytes.asDoubleBuffer().put(values)
            return VectorArray("float64", shape, bytes)
        }

        /**
         * Reads the array of a manifest's [row]; throws [BundleException] when its file is damaged.
         *
         * A file that [intact] names was checked before; many vectors share one.
         */
        fun read(row: JSONObject, source: VectorSource, intact: MutableSet<String> = HashSet()): VectorArray {
            val file = row.getString("file")
            val sum = row.getString("sha256")
            val data = source.open(file).use { it.readBytes() }
            val array = VectorArray(row.getString("dtype"), shapeOf(row), ByteBuffer.wrap(data))
            if ("$file $sum" !in intact) {
                if (array.sha256() != sum) throw BundleException("the golden vector $file is damaged")
                intact.add("$file $sum")
            }
            return array
        }

        fun shapeOf(row: JSONObject): IntArray {
            val sides: JSONArray = row.getJSONArray("shape")
            return IntArray(sides.length()) { sides.getInt(it) }
        }

        private fun allocate(size: Int) = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN)
    }
}
