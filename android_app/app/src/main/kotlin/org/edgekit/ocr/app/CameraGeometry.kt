package org.edgekit.ocr.app

import android.graphics.Matrix
import android.graphics.RectF
import android.util.Size
import kotlin.math.abs

/** Where camera pixels go: which sizes to ask for, how frames are turned, where the preview lies on the screen. */
object CameraGeometry {
    /** Returns the clockwise degrees that turn a frame upright; [displayRotation] is `Surface.ROTATION_*`. */
    fun frameDegrees(sensorOrientation: Int, displayRotation: Int, front: Boolean): Int {
        val display = displayRotation * 90
        return if (front) (sensorOrientation + display) % 360 else (sensorOrientation - display + 360) % 360
    }

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
     * By itself the view stretches the picture, turned for the device's natural orientation, over its whole area.
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
