package org.edgekit.ocr.app

import org.edgekit.ocr.OcrResult
import org.opencv.core.Mat

/** Reads camera frames one at a time; [show] and [fail] are called on the reading thread. */
class FrameReader(
    private val reader: Reader,
    private val show: (OcrResult) -> Unit,
    private val fail: (Throwable) -> Unit,
) {
    private val gate = FrameGate()

    /** Reads the frame that [copy] gives (BGR), unless one is being read; returns whether it was taken. */
    fun offer(copy: () -> Mat): Boolean {
        if (!gate.enter()) return false
        try {
            val frame = copy()
            reader.submit { pipeline -> read(frame) { pipeline().read(frame) } }
        } catch (error: OutOfMemoryError) {
            give(error)
        } catch (error: LinkageError) {
            give(error)
        } catch (error: RuntimeException) {
            give(error)
        }
        return true
    }

    private fun give(error: Throwable) {
        gate.leave()
        fail(error)
    }

    private fun read(frame: Mat, work: () -> OcrResult) {
        try {
            show(work())
        } catch (error: OutOfMemoryError) {
            fail(error)
        } catch (error: LinkageError) {
            fail(error)
        } catch (error: Exception) {
            // The thread's last line: a frame that cannot be read must not end the camera.
            fail(error)
        } finally {
            frame.release()
            gate.leave()
        }
    }
}
