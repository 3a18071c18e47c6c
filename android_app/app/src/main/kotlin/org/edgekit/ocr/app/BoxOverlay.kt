package org.edgekit.ocr.app

import android.content.Context
import android.graphics.Canvas
import android.util.AttributeSet
import android.view.View
import org.edgekit.ocr.OcrResult

/** The boxes of the last frame over the camera's preview, which lies in the middle, uncut. */
class BoxOverlay(context: Context, attributes: AttributeSet? = null) : View(context, attributes) {
    private val painter = BoxPainter(context)

    var result: OcrResult? = null
        set(value) {
            field = value
            invalidate()
        }

    override fun onDraw(canvas: Canvas) {
        super.onDraw(canvas)
        val shown = result ?: return
        if (shown.width == 0 || width == 0 || height == 0) return
        val place = CameraGeometry.fitted(shown.width, shown.height, width, height)
        val scale = place.width() / shown.width
        for (line in shown.lines) {
            painter.draw(canvas, line, false, { it * scale + place.left }) { it * scale + place.top }
        }
    }
}
