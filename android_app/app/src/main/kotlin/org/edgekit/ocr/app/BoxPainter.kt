package org.edgekit.ocr.app

import android.content.Context
import android.graphics.Canvas
import android.graphics.Paint
import android.graphics.Path

/** Draws the boxes of lines. */
class BoxPainter(context: Context) {
    private val density = context.resources.displayMetrics.density
    private val stroke = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        style = Paint.Style.STROKE
        strokeJoin = Paint.Join.ROUND
    }
    private val fill = Paint(Paint.ANTI_ALIAS_FLAG).apply { style = Paint.Style.FILL }
    private val plain = context.getColor(R.color.box)
    private val chosen = context.getColor(R.color.box_selected)
    private val path = Path()

    /** Draws the box [polygon] (x0, y0 .. x3, y3) where [toX] and [toY] put its corners; a [selected] one is filled. */
    fun draw(canvas: Canvas, polygon: IntArray, selected: Boolean, toX: (Float) -> Float, toY: (Float) -> Float) {
        path.rewind()
        for (i in 0 until 4) {
            val (x, y) = toX(polygon[2 * i].toFloat()) to toY(polygon[2 * i + 1].toFloat())
            if (i == 0) path.moveTo(x, y) else path.lineTo(x, y)
        }
        path.close()
        if (selected) {
            fill.color = chosen
            fill.alpha = FILL_ALPHA
            canvas.drawPath(path, fill)
        }
        stroke.color = if (selected) chosen else plain
        stroke.strokeWidth = density * if (selected) 3f else 1.5f
        canvas.drawPath(path, stroke)
    }

    private companion object {
        const val FILL_ALPHA = 64
    }
}
