package org.edgekit.ocr.app

import java.util.Random
import kotlin.math.sin
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertTrue
import org.edgekit.ocr.CtcText

class LiveLinesTest {
    private val lines = LiveLines()
    private val read = ArrayList<String>()
    private var score = 0.95

    /** A line [number] whose box is moved by ([dx], [dy]); its print depends on what it [says]. */
    private fun see(number: Int, says: String, dx: Float = 0f, dy: Float = 0f): String {
        val bounds = Bounds(10 + dx, 40f * number + dy, 210 + dx, 40f * number + 20 + dy)
        val recognise = { CtcText(says, score).also { read.add(says) } }
        return lines.text(bounds, { width, height -> print(says, width, height) }, recognise).text
    }

    private fun print(says: String, width: Int, height: Int): LinePrint {
        val random = Random(says.hashCode().toLong())
        return LinePrint(width, height, FloatArray(width * height) { random.nextInt(256).toFloat() })
    }

    private fun frame(now: Long, vararg says: String) {
        read.clear()
        lines.begin(now)
        says.forEachIndexed { i, text -> assertEquals(text, see(i, text)) }
    }

    @Test
    fun `a line that stayed is not recognised again`() {
        frame(0, "one", "two", "three")
        assertEquals(listOf("one", "two", "three"), read)
        frame(100, "one", "two", "three")
        assertEquals(emptyList<String>(), read)
        frame(200, "one", "changed", "three")
        assertEquals(listOf("changed"), read)
    }

    @Test
    fun `a box that trembles stays, and is followed as it drifts`() {
        lines.begin(0)
        see(0, "one")
        for (step in 1..20) {
            lines.begin(step * 50L)
            assertEquals("one", see(0, "one", dx = 3f * step, dy = 3f * step))
        }
        assertEquals(listOf("one"), read)
        lines.begin(1100)
        see(0, "one", dx = 60f, dy = 75f)
        assertEquals(listOf("one", "one"), read, "a jump is another place")
    }

    @Test
    fun `a line that flickers is known when it comes back`() {
        frame(0, "one", "two")
        frame(100, "one")
        frame(200, "one", "two")
        assertEquals(emptyList<String>(), read)
    }

    @Test
    fun `old lines are recognised anew, one a frame, and none is older than six seconds`() {
        val texts = arrayOf("one", "two", "three")
        frame(0, *texts)
        frame(1999, *texts)
        assertEquals(emptyList<String>(), read)
        for (now in listOf(2000L, 2100L, 2200L)) {
            frame(now, *texts)
            assertEquals(1, read.size, "$now")
        }
        frame(2300, *texts)
        assertEquals(emptyList<String>(), read)
        frame(8300, *texts)
        assertEquals(texts.toList(), read)
    }

    @Test
    fun `what is not read with certainty is tried again sooner`() {
        score = 0.6
        frame(0, "one")
        frame(400, "one")
        assertEquals(emptyList<String>(), read)
        frame(500, "one")
        assertEquals(listOf("one"), read)
    }

    @Test
    fun `boxes overlap by what they share`() {
        val one = Bounds(0f, 0f, 10f, 10f)
        assertEquals(1f, one.overlap(Bounds(0f, 0f, 10f, 10f)))
        assertEquals(1 / 3f, one.overlap(Bounds(5f, 0f, 15f, 10f)), 1e-6f)
        assertEquals(0f, one.overlap(Bounds(10f, 0f, 20f, 10f)))
        val slanted = Bounds.of(floatArrayOf(0f, 5f, 10f, 0f, 12f, 4f, 2f, 9f))
        assertEquals(listOf(0f, 0f, 12f, 9f), listOf(slanted.left, slanted.top, slanted.right, slanted.bottom))
    }

    /** Strokes of about the width that letters have. */
    private fun strokes(phase: Float, gain: Float = 1f, noise: Int = 0): LinePrint {
        val random = Random(7)
        return LinePrint(64, 8, FloatArray(512) { i ->
            val (x, y) = i % 64 + phase to i / 64
            100 + gain * (60 * sin(x * 0.9f) + 40 * sin(x * 0.31f + y)) + random.nextInt(2 * noise + 1) - noise
        })
    }

    @Test
    fun `neither light nor noise nor a small shift makes another line`() {
        assertTrue(strokes(0f).like(strokes(0f)))
        assertTrue(strokes(0f).like(strokes(0f, gain = 0.5f, noise = 6)))
        assertTrue(strokes(0f).like(strokes(1.5f)))
        assertFalse(strokes(0f).like(print("other", 64, 8)))
    }

    @Test
    fun `one changed part is seen, and a plain area stays one`() {
        val greys = FloatArray(512) { if (it % 64 / 4 % 2 == 0) 30f else 200f }
        val changed = greys.copyOf()
        for (y in 0 until 8) for (x in 24 until 32) changed[y * 64 + x] = 115f
        assertFalse(LinePrint(64, 8, greys).like(LinePrint(64, 8, changed)))
        val random = Random(1)
        val plain = { LinePrint(64, 8, FloatArray(512) { 100f + random.nextInt(3) }) }
        assertTrue(plain().like(plain()))
    }

    @Test
    fun `a print has as many values as the shape of the line needs`() {
        assertEquals(80 to 8, LinePrint.size(Bounds(0f, 0f, 200f, 20f)))
        assertEquals(8 to 80, LinePrint.size(Bounds(0f, 0f, 20f, 200f)))
        assertEquals(256 to 8, LinePrint.size(Bounds(0f, 0f, 2000f, 10f)))
        assertEquals(8 to 8, LinePrint.size(Bounds(5f, 5f, 5f, 5f)))
    }
}
