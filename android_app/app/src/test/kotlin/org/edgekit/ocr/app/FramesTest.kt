package org.edgekit.ocr.app

import android.util.Size
import java.io.File
import java.nio.ByteBuffer
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit
import kotlin.math.abs
import kotlin.test.Test
import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertTrue
import org.edgekit.ocr.OcrResult
import org.junit.runner.RunWith
import org.opencv.imgcodecs.Imgcodecs
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.annotation.Config

@RunWith(RobolectricTestRunner::class)
class FramesTest {
    private val app get() = RuntimeEnvironment.getApplication() as OcrApplication

    @Test
    fun `a plane with gaps is packed and its short last row is no fault`() {
        val rows = ByteBuffer.wrap(byteArrayOf(1, 0, 2, 0, 9, 9, 3, 0, 4))
        assertContentEquals(byteArrayOf(1, 2, 3, 4), Plane(rows, 6, 2).packed(2, 2))
        val close = ByteBuffer.wrap(byteArrayOf(1, 2, 9, 3, 4))
        assertContentEquals(byteArrayOf(1, 2, 3, 4), Plane(close, 3, 1).packed(2, 2))
    }

    /** JFIF: Y = 0.299 R + 0.587 G + 0.114 B, Cb = 128 + 0.564 (B - Y), Cr = 128 + 0.713 (R - Y). */
    @Test
    fun `colours of a camera frame come out as they were`() {
        app.loadOpenCv()
        for ((red, green, blue) in listOf(Triple(255, 255, 255), Triple(0, 0, 0), Triple(200, 40, 90), Triple(20, 180, 250))) {
            val luma = 0.299 * red + 0.587 * green + 0.114 * blue
            val planes = listOf(luma, 128 + 0.564 * (blue - luma), 128 + 0.713 * (red - luma))
                .mapIndexed { i, v -> filled(v.toInt().toByte(), if (i == 0) 4 else 2, if (i == 0) 2 else 1) }
            val image = Frames.bgr(planes, 4, 2, 90)
            assertEquals(2 to 4, image.cols() to image.rows())
            val found = image.get(3, 1)
            assertTrue(abs(found[0] - blue) < 4 && abs(found[1] - green) < 4 && abs(found[2] - red) < 4, "$found")
            image.release()
        }
    }

    private fun filled(value: Byte, width: Int, height: Int) =
        Plane(ByteBuffer.wrap(ByteArray(width * height) { value }), width, 1)

    @Test
    fun `while one frame is read the others are skipped`() {
        val gate = FrameGate()
        assertTrue(gate.enter())
        assertFalse(gate.enter())
        gate.leave()
        assertTrue(gate.enter())
    }

    @Test
    fun `a frame is read while others are skipped and the next one is taken again`() {
        needsBundle()
        app.loadOpenCv()
        val file = File(app.cacheDir, "sign").apply { writeBytes(regressionImage("street_sign.png")) }
        val found = LinkedBlockingQueue<OcrResult>()
        val reader = FrameReader(app.reader, { found.add(it) }, { throw AssertionError(it) })
        for (round in 1..2) {
            waitFor("a free reader") { reader.offer { Imgcodecs.imread(file.path) } }
            assertFalse(reader.offer { throw AssertionError("a skipped frame was copied") })
            val texts = found.poll(60, TimeUnit.SECONDS)?.lines?.map { it.text }
            assertEquals(expectedOf("street_sign.png").texts, texts, "round $round")
        }
    }

    @Test
    @Config(application = NoLibraryApplication::class)
    fun `a frame that cannot be read gives a message each time and blocks none`() {
        val faults = LinkedBlockingQueue<Throwable>()
        val reader = FrameReader(app.reader, { throw AssertionError("$it") }, { faults.add(it) })
        for (round in 1..2) {
            assertTrue(reader.offer { throw UnsatisfiedLinkError("no library") })
            assertTrue(faults.poll(1, TimeUnit.SECONDS) is LinkageError, "round $round")
        }
    }

    @Test
    fun `frames are turned upright in each position of the device`() {
        // A phone's back camera stands at 90 degrees, its front camera at 270.
        assertEquals(listOf(90, 0, 270, 180), (0..3).map { CameraGeometry.frameDegrees(90, it, front = false) })
        assertEquals(listOf(270, 0, 90, 180), (0..3).map { CameraGeometry.frameDegrees(270, it, front = true) })
    }

    @Test
    fun `the preview keeps its shape in each position of the device`() {
        val buffer = Size(1280, 960)
        for (rotation in 0..3) {
            val (width, height) = if (rotation % 2 == 0) 1080 to 1920 else 1920 to 1080
            val matrix = CameraGeometry.previewTransform(buffer, 90, rotation, width, height)
            val corners = floatArrayOf(0f, 0f, width.toFloat(), 0f, 0f, height.toFloat())
            matrix.mapPoints(corners)
            // The view's left edge shows the buffer's long side, its top the short one.
            val top = abs(corners[2] - corners[0]) + abs(corners[3] - corners[1])
            val left = abs(corners[4] - corners[0]) + abs(corners[5] - corners[1])
            assertEquals(1280.0 / 960, (left / top).toDouble(), 1e-3, "rotation $rotation")
            val upright = if (rotation % 2 == 0) top to left else left to top
            assertTrue(upright.first <= width + 0.5f && upright.second <= height + 0.5f, "rotation $rotation")
        }
    }

    @Test
    fun `frames are chosen by the shape of the photo and about the size that the detector sees`() {
        val sizes = listOf(Size(4000, 3000), Size(1920, 1080), Size(1280, 960), Size(640, 480))
        assertEquals(Size(1280, 960), CameraGeometry.nearest(sizes, 1280 * 960, Size(4032, 3024)))
        assertEquals(Size(1920, 1080), CameraGeometry.nearest(sizes, 1280 * 960, Size(3840, 2160)))
        assertEquals(Size(1280, 960), CameraGeometry.nearest(sizes, 1280 * 960, Size(100, 300)))
    }
}
