package org.edgekit.ocr.opencv

import kotlin.test.Test
import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue
import org.edgekit.ocr.EngineException
import org.edgekit.ocr.ModelException

class OpenCvEngineTest {
    init {
        HostOpenCv.load()
    }

    private val shape = intArrayOf(1, 3, 4, 4)
    private val ramp = FloatArray(48) { it - 24f }

    @Test
    fun `a model maps its input to its output`() = engine("Abs").use { engine ->
        val output = engine.run(ramp, shape)
        assertContentEquals(shape, output.shape)
        assertContentEquals(FloatArray(48) { Math.abs(ramp[it]) }, output.data)
    }

    @Test
    fun `one engine serves several sizes and comes back to the first`() = engine("Abs").use { engine ->
        for (side in listOf(4, 8, 2, 4)) {
            val input = FloatArray(3 * side * side) { -it.toFloat() }
            val output = engine.run(input, intArrayOf(1, 3, side, side))
            assertContentEquals(FloatArray(input.size) { it.toFloat() }, output.data)
            assertEquals(side, output.shape[3])
        }
    }

    @Test
    fun `an answer that is not finite is refused`() = engine("Log").use { engine ->
        val error = assertFailsWith<EngineException> { engine.run(ramp, shape) }
        assertTrue("25 of 48 values" in error.message.orEmpty(), error.message)
    }

    @Test
    fun `bytes that are no model are refused`() {
        val noise = ByteArray(500) { (it * 7).toByte() }
        for (onnx in listOf(ByteArray(0), noise, tinyOnnx("Abs").copyOf(40), tinyOnnx("NoSuchOperator"))) {
            val error = assertFailsWith<ModelException> { OpenCvEngine(onnx, "bad", 1) }
            assertTrue("engine bad" in error.message.orEmpty() && error.hint != null, error.message)
        }
    }

    @Test
    fun `an input of another shape is refused and the engine stays usable`() = engine("Abs").use { engine ->
        for (wrong in listOf(intArrayOf(48), intArrayOf(1, 3, 4, 5), intArrayOf(1, 0, 4, 4))) {
            assertFailsWith<EngineException> { engine.run(ramp, wrong) }
        }
        assertEquals(48, engine.run(ramp, shape).data.size)
    }

    @Test
    fun `a closed engine says so`() {
        val engine = engine("Abs")
        engine.close()
        engine.close()
        val error = assertFailsWith<EngineException> { engine.run(ramp, shape) }
        assertTrue("was closed" in error.message.orEmpty())
    }

    @Test
    fun `several threads may share an engine`() = engine("Abs").use { engine ->
        val wrong = java.util.Collections.synchronizedList(ArrayList<Int>())
        val threads = (1..4).map { number ->
            Thread {
                for (round in 1..50) {
                    val output = engine.run(FloatArray(48) { -number.toFloat() }, shape)
                    if (output.data.any { it != number.toFloat() }) wrong.add(number)
                }
            }.apply { start() }
        }
        threads.forEach { it.join() }
        assertEquals(emptyList(), wrong.toList())
    }

    private fun engine(operator: String) = OpenCvEngine(tinyOnnx(operator), "tiny", 1)
}
