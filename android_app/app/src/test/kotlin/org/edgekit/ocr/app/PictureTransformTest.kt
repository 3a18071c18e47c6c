package org.edgekit.ocr.app

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertTrue

class PictureTransformTest {
    private val transform = PictureTransform().apply { fit(200, 100, 400, 400) }

    @Test
    fun `a picture fits into the middle of its view`() {
        assertEquals(2f, transform.scale)
        assertEquals(0f to 100f, transform.shiftX to transform.shiftY)
        assertEquals(100f to 50f, transform.toPictureX(200f) to transform.toPictureY(200f))
    }

    @Test
    fun `zooming keeps the point under the fingers and never shrinks below the fit`() {
        val before = transform.toPictureX(100f)
        transform.zoom(3f, 100f, 200f)
        assertEquals(before, transform.toPictureX(100f), 1e-3f)
        assertTrue(transform.zoomed)
        transform.zoom(0.01f, 0f, 0f)
        assertEquals(2f, transform.scale)
        assertFalse(transform.zoomed)
        transform.zoom(1e6f, 0f, 0f)
        assertEquals(24f, transform.scale)
    }

    @Test
    fun `the picture never leaves the view`() {
        transform.zoom(4f, 200f, 200f)
        transform.pan(1e6f, 1e6f)
        assertEquals(0f to 0f, transform.shiftX to transform.shiftY)
        transform.centre(200f, 100f)
        assertEquals(400f - 200 * transform.scale, transform.shiftX)
    }

    @Test
    fun `a point is inside a slanted box or not, whichever way round its corners go`() {
        val box = intArrayOf(10, 0, 20, 10, 10, 20, 0, 10)
        val other = intArrayOf(0, 10, 10, 20, 20, 10, 10, 0)
        for (polygon in listOf(box, other)) {
            assertTrue(contains(polygon, 10f, 10f))
            assertTrue(contains(polygon, 10f, 0f))
            assertFalse(contains(polygon, 2f, 2f))
        }
    }
}
