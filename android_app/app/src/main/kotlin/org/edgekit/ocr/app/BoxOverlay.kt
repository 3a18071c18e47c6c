package org.edgekit.ocr.app

import android.content.Context
import android.graphics.Canvas
import android.graphics.Paint
import android.graphics.PointF
import android.util.AttributeSet
import android.util.Size
import android.view.View

/**
 * What lies over the camera's preview: the boxes of the last frame, and where the user has pointed.
 *
 * The preview stands in the middle, uncut. It follows the display, while a frame is read as the device is held: they
 * differ when the display's rotation is locked.
 */
class BoxOverlay(context: Context, attributes: AttributeSet? = null) : View(context, attributes) {
    private val painter = BoxPainter(context)
    private val ring = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        style = Paint.Style.STROKE
        strokeWidth = 2 * context.resources.displayMetrics.density
        color = context.getColor(R.color.on_canvas)
    }
    private var pointed: PointF? = null

    /** The clockwise degrees that turn a frame as the display shows it. */
    var displayDegrees = 0
        set(value) {
            field = value
            invalidate()
        }

    /** Whether the preview is mirrored, as that of a camera at the front is. */
    var mirrored = false

    var live: LiveResult? = null
        set(value) {
            field = value
            invalidate()
        }

    /** Shows a ring around ([x], [y]) for a moment. */
    fun point(x: Float, y: Float) {
        pointed = PointF(x, y)
        removeCallbacks(forget)
        postDelayed(forget, RING_MILLIS)
        invalidate()
    }

    /** Returns where ([x], [y]) of this view lies in a frame of the size [frame], in 0 to 1; null beside the preview. */
    fun framePoint(x: Float, y: Float, frame: Size): PointF? {
        val place = FramePlace(frame.width, frame.height, displayDegrees, mirrored)
        val fitted = CameraGeometry.fitted(place.width, place.height, width, height)
        if (!fitted.contains(x, y)) return null
        return place.framePoint((x - fitted.left) / fitted.width(), (y - fitted.top) / fitted.height())
    }

    private val forget = Runnable {
        pointed = null
        invalidate()
    }

    override fun onDraw(canvas: Canvas) {
        super.onDraw(canvas)
        pointed?.let { canvas.drawCircle(it.x, it.y, RING * resources.displayMetrics.density, ring) }
        val shown = live ?: return
        val (frameWidth, frameHeight) = shown.result.width to shown.result.height
        if (frameWidth == 0 || width == 0 || height == 0) return
        val place = FramePlace(frameWidth, frameHeight, (displayDegrees - shown.degrees + 360) % 360, mirrored)
        val fitted = CameraGeometry.fitted(place.width, place.height, width, height)
        val scale = fitted.width() / place.width
        for (line in shown.result.lines) {
            val corners = place.shown(line.polygon)
            painter.draw(canvas, corners, false, { it * scale + fitted.left }) { it * scale + fitted.top }
        }
    }

    private companion object {
        /** Radius in dp. */
        const val RING = 32f
        const val RING_MILLIS = 1000L
    }
}

/** How a frame stands on the screen: turned clockwise by [degrees] from where it was read, then perhaps mirrored. */
class FramePlace(
    private val frameWidth: Int,
    private val frameHeight: Int,
    private val degrees: Int,
    private val mirrored: Boolean,
) {
    val width: Int get() = if (degrees % 180 == 0) frameWidth else frameHeight
    val height: Int get() = if (degrees % 180 == 0) frameHeight else frameWidth

    /** Returns the corners of [polygon] (x0, y0 .. x3, y3 in the frame) as they are shown. */
    fun shown(polygon: IntArray): IntArray {
        val corners = IntArray(8)
        for (i in 0 until 8 step 2) {
            val (x, y) = polygon[i].toFloat() to polygon[i + 1].toFloat()
            val point = CameraGeometry.turned(x, y, frameWidth.toFloat(), frameHeight.toFloat(), degrees)
            corners[i] = (if (mirrored) width - point.x else point.x).toInt()
            corners[i + 1] = point.y.toInt()
        }
        return corners
    }

    /** Returns the point of the frame that is shown at ([x], [y]); both in 0 to 1. */
    fun framePoint(x: Float, y: Float): PointF =
        CameraGeometry.turned(if (mirrored) 1 - x else x, y, 1f, 1f, (360 - degrees) % 360)
}
