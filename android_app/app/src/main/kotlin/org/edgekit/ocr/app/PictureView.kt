package org.edgekit.ocr.app

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Matrix
import android.graphics.Paint
import android.util.AttributeSet
import android.view.GestureDetector
import android.view.MotionEvent
import android.view.ScaleGestureDetector
import android.view.View
import org.edgekit.ocr.OcrResult

/** A picture with its boxes: two fingers or a double tap zoom, one finger moves, a tap on a box chooses its line. */
class PictureView(context: Context, attributes: AttributeSet? = null) : View(context, attributes) {
    private val painter = BoxPainter(context)
    private val smooth = Paint(Paint.FILTER_BITMAP_FLAG)
    private val matrix = Matrix()
    private val transform = PictureTransform()
    private var bitmap: Bitmap? = null
    private var result: OcrResult? = null
    private var selected = NONE

    /** Called with the index of a line whose box was tapped. */
    var onLine: ((Int) -> Unit)? = null

    /** Whether there is a picture. */
    val isShowing: Boolean get() = bitmap != null

    /** Shows [bitmap], perhaps smaller than the picture, under the boxes of [result], which may still be unknown. */
    fun show(bitmap: Bitmap, result: OcrResult?) {
        // While it is being read, the same is shown again and again: the user's zoom stays.
        if (bitmap === this.bitmap && result === this.result) return
        this.bitmap = bitmap
        this.result = result
        refit()
    }

    /** Turns what is shown clockwise by 90 degrees, without its boxes: they belong to the picture as it was read. */
    fun turn() {
        val shown = bitmap
        result = null
        selected = NONE
        if (shown != null) {
            val quarter = Matrix().apply { setRotate(90f) }
            bitmap = try {
                Bitmap.createBitmap(shown, 0, 0, shown.width, shown.height, quarter, true)
            } catch (error: OutOfMemoryError) {
                // The reading thread makes another one.
                null
            }
        }
        refit()
        invalidate()
    }

    /** Marks the line with [index], and moves its box into view where the picture is zoomed. */
    fun select(index: Int) {
        selected = index
        val polygon = result?.lines?.getOrNull(index)?.polygon
        if (polygon != null && transform.zoomed) {
            transform.centre((polygon[0] + polygon[4]) / 2f, (polygon[1] + polygon[5]) / 2f)
        }
        invalidate()
    }

    override fun onSizeChanged(width: Int, height: Int, oldWidth: Int, oldHeight: Int) {
        super.onSizeChanged(width, height, oldWidth, oldHeight)
        refit()
    }

    private fun refit() {
        val shown = bitmap ?: return
        if (width == 0 || height == 0) return
        transform.fit(result?.width ?: shown.width, result?.height ?: shown.height, width, height)
        invalidate()
    }

    override fun onDraw(canvas: Canvas) {
        super.onDraw(canvas)
        val shown = bitmap ?: return
        val pictureWidth = result?.width ?: shown.width
        val zoom = transform.scale * pictureWidth / shown.width
        matrix.setScale(zoom, zoom)
        matrix.postTranslate(transform.shiftX, transform.shiftY)
        canvas.drawBitmap(shown, matrix, smooth)
        result?.lines?.forEachIndexed { i, line ->
            painter.draw(canvas, line.polygon, i == selected, { it * transform.scale + transform.shiftX }) {
                it * transform.scale + transform.shiftY
            }
        }
    }

    /** Returns the index of the line at a point of this view, or null; the last drawn lies on top. */
    fun lineAt(x: Float, y: Float): Int? {
        val lines = result?.lines ?: return null
        val (px, py) = transform.toPictureX(x) to transform.toPictureY(y)
        return lines.indices.lastOrNull { contains(lines[it].polygon, px, py) }
    }

    private val pinch = ScaleGestureDetector(
        context,
        object : ScaleGestureDetector.SimpleOnScaleGestureListener() {
            override fun onScale(detector: ScaleGestureDetector): Boolean {
                transform.zoom(detector.scaleFactor, detector.focusX, detector.focusY)
                invalidate()
                return true
            }
        },
    )

    private val touch = GestureDetector(
        context,
        object : GestureDetector.SimpleOnGestureListener() {
            override fun onDown(event: MotionEvent): Boolean = true

            override fun onSingleTapConfirmed(event: MotionEvent): Boolean {
                lineAt(event.x, event.y)?.let { onLine?.invoke(it) }
                return performClick()
            }

            override fun onDoubleTap(event: MotionEvent): Boolean {
                transform.zoom(if (transform.zoomed) 0f else DOUBLE_TAP, event.x, event.y)
                invalidate()
                return true
            }

            override fun onScroll(from: MotionEvent?, to: MotionEvent, dx: Float, dy: Float): Boolean {
                transform.pan(-dx, -dy)
                invalidate()
                return true
            }
        },
    )

    override fun onTouchEvent(event: MotionEvent): Boolean {
        pinch.onTouchEvent(event)
        if (!pinch.isInProgress) touch.onTouchEvent(event)
        return true
    }

    override fun performClick(): Boolean {
        super.performClick()
        return true
    }

    private companion object {
        const val NONE = -1
        const val DOUBLE_TAP = 3f
    }
}
