package org.edgekit.ocr.app

import kotlin.test.Test
import kotlin.test.assertEquals

class DeviceTurnTest {
    private val turn = DeviceTurn()

    private fun after(vararg angles: Int): Int {
        angles.forEach(turn::sensed)
        return turn.degrees(0)
    }

    @Test
    fun `the nearest side counts first, and the display before the sensor has spoken`() {
        assertEquals(listOf(0, 270, 180, 90), (0..3).map { DeviceTurn().degrees(it) })
        for ((angle, side) in listOf(0 to 0, 44 to 0, 45 to 90, 134 to 90, 180 to 180, 314 to 270, 315 to 0, 359 to 0)) {
            assertEquals(side, DeviceTurn().apply { sensed(angle) }.degrees(1), "$angle")
        }
    }

    @Test
    fun `around a diagonal the last side stays`() {
        assertEquals(0, after(0, 44, 46, 60))
        assertEquals(90, after(61))
        assertEquals(90, after(46, 44, 30))
        assertEquals(0, after(29))
        assertEquals(0, after(300, 315))
        assertEquals(270, after(299))
    }

    @Test
    fun `a device that lies flat keeps the side that it was held at`() {
        assertEquals(270, after(270, -1, -1))
        assertEquals(180, DeviceTurn().apply { sensed(-1) }.degrees(2))
    }
}
