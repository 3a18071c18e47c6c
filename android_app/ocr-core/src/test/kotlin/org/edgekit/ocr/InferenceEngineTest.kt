package org.edgekit.ocr

import kotlin.test.Test
import kotlin.test.assertFailsWith

class InferenceEngineTest {
    @Test
    fun `values that are not finite are counted`() {
        for (bad in listOf(Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, 1e31f)) {
            assertReports<EngineException>("2 of 4 values") {
                checkAnswer("x", Tensor(floatArrayOf(bad, 0f, 1f, bad), intArrayOf(1, 4)))
            }
        }
    }

    @Test
    fun `an input that does not fill its shape is refused`() {
        for (shape in listOf(intArrayOf(1, 3, 2, 2), intArrayOf(12), intArrayOf(1, 3, 0, 4), intArrayOf(1, -3, -2, 2))) {
            assertReports<EngineException>("takes tensors of [n, c, h, w]") { checkInput("x", FloatArray(11), shape) }
        }
    }

    @Test
    fun `a tensor must fit its shape`() {
        assertFailsWith<IllegalArgumentException> { Tensor(FloatArray(3), intArrayOf(2, 2)) }
    }
}
