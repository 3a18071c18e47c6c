package org.edgekit.ocr

import kotlin.test.Test
import kotlin.test.assertEquals

class CtcTest {
    private val rules = CtcRules(blank = 0, appendSpace = true, emptyScore = 0.0)

    @Test
    fun `repeats are collapsed and blanks part them`() {
        val read = ctcDecode(answer(1, 1, 0, 1, 2, 2, 0), listOf("a", "b"), rules)
        assertEquals("aab", read.text)
        assertEquals(0.75, read.score)
    }

    @Test
    fun `a line of blanks has no text and the empty score`() {
        val read = ctcDecode(answer(0, 0, 0), listOf("a", "b"), rules)
        assertEquals("", read.text)
        assertEquals(0.0, read.score)
    }

    @Test
    fun `no steps at all give no text`() =
        assertEquals("", ctcDecode(Tensor(FloatArray(0), intArrayOf(1, 0, 3)), listOf("a", "b"), rules).text)

    @Test
    fun `classes that do not fit the dictionary are refused`() =
        assertReports<ModelException>("the dictionary makes 2 classes") { ctcDecode(answer(1), listOf("a"), rules) }

    @Test
    fun `an answer of another shape is refused`() = assertReports<ModelException>("[3, 3]") {
        ctcDecode(Tensor(FloatArray(9), intArrayOf(3, 3)), listOf("a", "b"), rules)
    }

    @Test
    fun `labels end with the space and keep their order`() =
        assertEquals(listOf("a", "\u6587", "b", " "), parseLabels("a\r\n\u6587\nb\n", rules))

    @Test
    fun `a dictionary without a last line break keeps its last label`() =
        assertEquals(listOf("a", "b"), parseLabels("a\nb", rules.copy(appendSpace = false)))

    /** An answer of three classes whose best class at each step is given, at 0.75. */
    private fun answer(vararg best: Int): Tensor {
        val values = FloatArray(3 * best.size) { i -> if (best[i / 3] == i % 3) 0.75f else 0.125f }
        return Tensor(values, intArrayOf(1, best.size, 3))
    }
}
