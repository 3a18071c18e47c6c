package org.edgekit.ocr.app

import kotlin.math.abs

/**
 * Which of its sides the device holds up: 0, 90, 180 or 270 clockwise degrees from its natural position.
 *
 * The sensor decides and not the display, which a rotation lock keeps still. Close to a diagonal the last side stays,
 * and so it does while the device lies flat, where no side is up.
 */
class DeviceTurn {
    private var known: Int? = null

    /** Takes the sensor's [angle]: 0 to 359, or below 0 while the device lies flat. */
    fun sensed(angle: Int) {
        if (angle < 0) return
        val last = known
        if (last == null || apart(angle, last) > HOLDS) known = (angle + 45) / 90 * 90 % 360
    }

    /** Returns the degrees; before the sensor has said anything, those of the display (`Surface.ROTATION_*`). */
    fun degrees(displayRotation: Int): Int = known ?: ofDisplay(displayRotation)

    companion object {
        /** 15 degrees beyond the diagonal: hands shake by less. */
        private const val HOLDS = 60

        /** Returns how far the device is turned when the display has followed it. */
        fun ofDisplay(displayRotation: Int): Int = (360 - 90 * displayRotation) % 360

        private fun apart(one: Int, other: Int): Int = abs(one - other).let { minOf(it, 360 - it) }
    }
}
