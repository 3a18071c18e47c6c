package org.edgekit.ocr.app

import org.edgekit.ocr.CtcText
import org.edgekit.ocr.OcrPipeline
import org.edgekit.ocr.OcrResult
import org.edgekit.ocr.matScope
import org.opencv.core.Mat
import org.opencv.core.Size
import org.opencv.imgproc.Imgproc

/** What a frame says; it was turned clockwise by [degrees] to be upright. */
class LiveResult(val result: OcrResult, val degrees: Int)

/**
 * Reads camera frames one at a time; [show] and [fail] are called on the reading thread.
 *
 * It reads between [start] and [stop]. The last frame that was read is kept, so that the user can hold on to it.
 */
class FrameReader(
    private val reader: Reader,
    private val show: (LiveResult) -> Unit,
    private val fail: (Throwable) -> Unit,
) {
    private val gate = FrameGate()
    private val live = LiveReader { if (!running) throw ReadCancelled() }

    @Volatile
    private var running = false

    /** Only the reader's work touches it. */
    private var last: Mat? = null

    fun start() {
        running = true
    }

    /** Ends reading, that of the present frame too, and lets the last one go. */
    fun stop() {
        running = false
        reader.submit { release() }
    }

    /** Reads the frame that [copy] gives (BGR, turned by [degrees]), unless one is being read; returns whether it was taken. */
    fun offer(degrees: Int, copy: () -> Mat): Boolean {
        if (!running || !gate.enter()) return false
        try {
            val frame = copy()
            reader.submit { pipeline -> read(frame, degrees, pipeline) }
        } catch (error: OutOfMemoryError) {
            give(error)
        } catch (error: LinkageError) {
            give(error)
        } catch (error: RuntimeException) {
            give(error)
        }
        return true
    }

    /** Ends reading and gives the last frame that was read to [take], on the reading thread; nothing where none was. */
    fun freeze(take: (Mat) -> Unit) {
        running = false
        reader.submit {
            try {
                last?.let(take)
            } catch (error: OutOfMemoryError) {
                report(error)
            } finally {
                release()
            }
        }
    }

    private fun give(error: Throwable) {
        gate.leave()
        report(error)
    }

    private fun report(error: Throwable) {
        // The models hold most of the app's memory.
        if (Messages.lacksMemory(error)) reader.letGo()
        fail(error)
    }

    private fun read(frame: Mat, degrees: Int, pipeline: () -> OcrPipeline) {
        try {
            val result = live.read(pipeline(), frame)
            release()
            last = frame
            show(LiveResult(result, degrees))
        } catch (stopped: ReadCancelled) {
            // Nobody looks at this frame any more.
        } catch (error: OutOfMemoryError) {
            report(error)
        } catch (error: LinkageError) {
            report(error)
        } catch (error: Exception) {
            // The thread's last line: a frame that cannot be read must not end the camera.
            report(error)
        } finally {
            if (last !== frame) frame.release()
            gate.leave()
        }
    }

    private fun release() {
        last?.release()
        last = null
    }
}

/** Reads frames that follow each other: detects at a small side, and recognises what [LiveLines] does not know. */
class LiveReader(private val clock: () -> Long = { System.nanoTime() / 1_000_000 }, private val beforeLine: () -> Unit) {
    private val lines = LiveLines()

    /** Returns what [frame] (BGR) says; throws `OcrException`, and whatever [beforeLine] throws. */
    fun read(pipeline: OcrPipeline, frame: Mat): OcrResult {
        lines.begin(clock())
        return pipeline.read(frame, minOf(SIDE, pipeline.profile.detection.longestSide ?: SIDE)) { corners, recognise ->
            beforeLine()
            text(frame, corners, recognise)
        }
    }

    private fun text(frame: Mat, corners: FloatArray, recognise: () -> CtcText): CtcText {
        val bounds = Bounds.of(corners)
        return lines.text(bounds, { width, height -> linePrint(frame, bounds, width, height) }, recognise)
    }

    companion object {
        /** The detector's side for frames, in pixels: text that a camera is held to is large, and what counts is time. */
        const val SIDE = 640
    }
}

/** Returns the print of [width] x [height] values of what [frame] (BGR) shows within [bounds]. */
internal fun linePrint(frame: Mat, bounds: Bounds, width: Int, height: Int): LinePrint = matScope { scope ->
    val left = bounds.left.toInt().coerceIn(0, frame.cols() - 1)
    val top = bounds.top.toInt().coerceIn(0, frame.rows() - 1)
    val right = (bounds.right.toInt() + 1).coerceIn(left + 1, frame.cols())
    val bottom = (bounds.bottom.toInt() + 1).coerceIn(top + 1, frame.rows())
    val small = scope.mat()
    val size = Size(width.toDouble(), height.toDouble())
    Imgproc.resize(scope.own(frame.submat(top, bottom, left, right)), small, size, 0.0, 0.0, Imgproc.INTER_AREA)
    val pixels = ByteArray(3 * width * height)
    small.get(0, 0, pixels)
    val level = { i: Int -> pixels[i].toInt() and 0xff }
    LinePrint(width, height, FloatArray(width * height) { (level(3 * it) + level(3 * it + 1) + level(3 * it + 2)) / 3f })
}
