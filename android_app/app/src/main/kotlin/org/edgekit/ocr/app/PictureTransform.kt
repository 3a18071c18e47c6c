package org.edgekit.ocr.app

/** Where a picture lies in a view: `view = picture * scale + shift`. Zoom ends at fitting and at [MOST] times that. */
class PictureTransform {
    private var viewWidth = 0f
    private var viewHeight = 0f
    private var width = 0f
    private var height = 0f
    private var fitting = 1f
    var scale = 1f
        private set
    var shiftX = 0f
        private set
    var shiftY = 0f
        private set

    /** Whether the picture is shown larger than it fits. */
    val zoomed: Boolean get() = scale > fitting * 1.01f

    /** Fits a picture of [width] x [height] into a view of [viewWidth] x [viewHeight], in the middle. */
    fun fit(width: Int, height: Int, viewWidth: Int, viewHeight: Int) {
        this.width = width.toFloat()
        this.height = height.toFloat()
        this.viewWidth = viewWidth.toFloat()
        this.viewHeight = viewHeight.toFloat()
        fitting = minOf(this.viewWidth / this.width, this.viewHeight / this.height)
        scale = fitting
        settle()
    }

    /** Scales by [factor] around a point of the view. */
    fun zoom(factor: Float, x: Float, y: Float) {
        val next = (scale * factor).coerceIn(fitting, fitting * MOST)
        shiftX = x - (x - shiftX) * next / scale
        shiftY = y - (y - shiftY) * next / scale
        scale = next
        settle()
    }

    /** Moves the picture by pixels of the view. */
    fun pan(dx: Float, dy: Float) {
        shiftX += dx
        shiftY += dy
        settle()
    }

    /** Moves a point of the picture to the middle of the view, as far as the picture's edges allow. */
    fun centre(x: Float, y: Float) {
        shiftX = viewWidth / 2 - x * scale
        shiftY = viewHeight / 2 - y * scale
        settle()
    }

    fun toPictureX(x: Float): Float = (x - shiftX) / scale

    fun toPictureY(y: Float): Float = (y - shiftY) / scale

    /** Keeps the picture over the view, or in its middle where it is smaller. */
    private fun settle() {
        shiftX = settled(shiftX, width * scale, viewWidth)
        shiftY = settled(shiftY, height * scale, viewHeight)
    }

    private fun settled(shift: Float, size: Float, room: Float): Float =
        if (size <= room) (room - size) / 2 else shift.coerceIn(room - size, 0f)

    private companion object {
        const val MOST = 12f
    }
}

/** Returns whether ([x], [y]) lies in the convex [polygon] (x0, y0 .. x3, y3), its edges included. */
fun contains(polygon: IntArray, x: Float, y: Float): Boolean {
    var left = false
    var right = false
    for (i in 0 until 4) {
        val (ax, ay) = polygon[2 * i] to polygon[2 * i + 1]
        val (bx, by) = polygon[(2 * i + 2) % 8] to polygon[(2 * i + 3) % 8]
        val side = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
        if (side > 0) left = true
        if (side < 0) right = true
    }
    return !(left && right)
}
