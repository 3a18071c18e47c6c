package org.edgekit.ocr

import kotlin.test.Test
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue
import org.opencv.core.Mat

class MatScopeTest {
    init {
        HostOpenCv.load()
    }

    @Test
    fun `every Mat of a scope is released, after an error too`() {
        val seen = ArrayList<Mat>()
        assertFailsWith<IllegalStateException> {
            matScope { scope ->
                seen.add(scope.own(plainImage(8, 8)))
                seen.add(scope.mat().also { plainImage(4, 4).copyTo(it) })
                throw IllegalStateException()
            }
        }
        assertTrue(seen.size == 2 && seen.all { it.empty() })
    }
}
