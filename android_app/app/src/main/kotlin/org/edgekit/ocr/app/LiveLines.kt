package org.edgekit.ocr.app

import kotlin.math.max
import kotlin.math.min
import org.edgekit.ocr.CtcText

/** The upright rectangle around a box, in pixels. */
class Bounds(val left: Float, val top: Float, val right: Float, val bottom: Float) {
    val width: Float get() = right - left
    val height: Float get() = bottom - top

    /** Returns how much of both is shared: 1 for the same rectangle, 0 for two that do not touch. */
    fun overlap(other: Bounds): Float {
        val across = min(right, other.right) - max(left, other.left)
        val down = min(bottom, other.bottom) - max(top, other.top)
        if (across <= 0 || down <= 0) return 0f
        val both = across * down
        return both / (width * height + other.width * other.height - both)
    }

    companion object {
        /** Returns the bounds of [corners], x0, y0 .. x3, y3. */
        fun of(corners: FloatArray): Bounds {
            val xs = FloatArray(4) { corners[2 * it] }
            val ys = FloatArray(4) { corners[2 * it + 1] }
            return Bounds(xs.min(), ys.min(), xs.max(), ys.max())
        }
    }
}

/**
 * The lines of the last frames. One that stayed where it was and looks as it did keeps its text.
 *
 * A small picture of a line does not show every change. So one line a frame is recognised anew: the one that waits
 * longest of those older than [refresh], an uncertain one sooner; and none is older than [oldest]. Both are
 * milliseconds.
 */
class LiveLines(private val refresh: Long = 2000, private val oldest: Long = 6000) {
    private class Known(var bounds: Bounds, val print: LinePrint, val text: CtcText, val since: Long) {
        var seen = since
    }

    private val known = ArrayList<Known>()
    private var now = 0L
    private var due: Known? = null

    /** A new frame comes at [now], in milliseconds of any clock. */
    fun begin(now: Long) {
        known.removeAll { now - it.since >= oldest }
        due = known.filter { it.seen == this.now && wait(it, now) >= refresh }.maxByOrNull { wait(it, now) }
        this.now = now
    }

    /**
     * Returns the text inside [bounds]: that of a known line, or what [recognise] finds.
     *
     * [print] makes the print of the given width and height.
     */
    fun text(bounds: Bounds, print: (Int, Int) -> LinePrint, recognise: () -> CtcText): CtcText {
        val before = known.maxByOrNull { it.bounds.overlap(bounds) }?.takeIf { it.bounds.overlap(bounds) >= STAYED }
        if (before != null && before !== due && before.print.like(print(before.print.width, before.print.height))) {
            before.bounds = bounds
            before.seen = now
            return before.text
        }
        known.remove(before)
        val (width, height) = LinePrint.size(bounds)
        return Known(bounds, print(width, height), recognise(), now).also { known.add(it) }.text
    }

    private fun wait(line: Known, now: Long): Long =
        (now - line.since) * if (line.text.score < CERTAIN) UNCERTAIN_WAITS else 1

    private companion object {
        /** Overlap of two boxes of one line that stayed: thin lines lose much of it by a few pixels. */
        const val STAYED = 0.5f

        const val CERTAIN = 0.9

        /** How many times as long a millisecond is for a line that is not read with certainty. */
        const val UNCERTAIN_WAITS = 4
    }
}
