package org.edgekit.ocr.app

import android.graphics.Matrix
import android.graphics.PointF
import android.graphics.Rect
import android.graphics.RectF
import android.util.Size
import kotlin.math.abs
import kotlin.math.roundToInt

/** Where camera pixels go: which sizes to ask for, how frames are turned, where the preview lies on the screen. */
object CameraGeometry {
    /** Returns the clockwise degrees that turn a frame upright on a device that is turned clockwise by [device]. */
    fun frameDegrees(sensorOrientation: Int, device: Int, front: Boolean): Int =
        (if (front) sensorOrientation - device + 360 else sensorOrientation + device) % 360

    /** Returns where ([x], [y]) of a picture of [width] x [height] lies after turning it clockwise by [degrees]. */
    fun turned(x: Float, y: Float, width: Float, height: Float, degrees: Int): PointF = when (degrees) {
        90 -> PointF(height - y, x)
        180 -> PointF(width - x, height - y)
        270 -> PointF(y, width - x)
        else -> PointF(x, y)
    }

    /** Returns the middle of [array] that is seen when the picture is enlarged [zoom] times. */
    fun zoomed(array: Rect, zoom: Float): Rect {
        val (width, height) = (array.width() / zoom).roundToInt() to (array.height() / zoom).roundToInt()
        val (left, top) = array.left + (array.width() - width) / 2 to array.top + (array.height() - height) / 2
        return Rect(left, top, left + width, top + height)
    }

    /**
     * Returns the square of the sensor around a point of a frame, ([x], [y]) in 0 to 1.
     *
     * Frames show all of [visible] that has their shape ([frame]), from its middle.
     */
    fun region(x: Float, y: Float, frame: Size, visible: Rect): Rect {
        val scale = minOf(visible.width().toFloat() / frame.width, visible.height().toFloat() / frame.height)
        val half = (minOf(visible.width(), visible.height()) * REGION / 2).roundToInt()
        val middleX = visible.exactCenterX() + (x - 0.5f) * frame.width * scale
        val middleY = visible.exactCenterY() + (y - 0.5f) * frame.height * scale
        val left = (middleX.roundToInt() - half).coerceIn(visible.left, visible.right - 2 * half)
        val top = (middleY.roundToInt() - half).coerceIn(visible.top, visible.bottom - 2 * half)
        return Rect(left, top, left + 2 * half, top + 2 * half)
    }

    /** Side of the square that a tap makes sharp, in parts of the shorter side. */
    private const val REGION = 0.15f

    /** Returns the size nearest to [pixels] of those with the shape of [shape], or of all where none has it. */
    fun nearest(sizes: List<Size>, pixels: Int, shape: Size? = null): Size {
        val alike = sizes.filter { shape != null && sameShape(it, shape) }
        return alike.ifEmpty { sizes }.minByOrNull { abs(it.width.toLong() * it.height - pixels) }
            ?: throw IllegalStateException("the camera offers no size")
    }

    private fun sameShape(one: Size, other: Size) =
        abs(one.width.toDouble() / one.height - other.width.toDouble() / other.height) < 0.02

    /** Returns the part of a view that an upright picture of [width] x [height] fills without being cut. */
    fun fitted(width: Int, height: Int, viewWidth: Int, viewHeight: Int): RectF {
        val scale = minOf(viewWidth.toFloat() / width, viewHeight.toFloat() / height)
        val (left, top) = (viewWidth - width * scale) / 2 to (viewHeight - height * scale) / 2
        return RectF(left, top, left + width * scale, top + height * scale)
    }

    /**
     * Returns the transform of a TextureView that shows the camera's [buffer] undistorted.
     *
     * By itself the view stretches the picture, turned for the device's natural orientation, over its entire area.
     */
    fun previewTransform(buffer: Size, sensor: Int, displayRotation: Int, viewWidth: Int, viewHeight: Int): Matrix {
        val lying = sensor % 180 == 90
        val (width, height) = if (lying) buffer.height to buffer.width else buffer.width to buffer.height
        val turned = displayRotation % 2 == 1
        val (across, down) = if (turned) height to width else width to height
        val shown = fitted(across, down, viewWidth, viewHeight)
        val (before, beside) = if (turned) shown.height() to shown.width() else shown.width() to shown.height()
        val matrix = Matrix()
        matrix.setScale(before / viewWidth, beside / viewHeight, viewWidth / 2f, viewHeight / 2f)
        matrix.postRotate(-90f * displayRotation, viewWidth / 2f, viewHeight / 2f)
        return matrix
    }
}
