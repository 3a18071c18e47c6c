package org.edgekit.ocr.app

import android.graphics.Rect
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

    /**
     * Within some levels: rounding, and chroma enlarged as one channel, differ by a level between processors.
     *
     * JFIF: Y = 0.299 R + 0.587 G + 0.114 B, Cb = 128 + 0.564 (B - Y), Cr = 128 + 0.713 (R - Y).
     */
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
        val found = LinkedBlockingQueue<LiveResult>()
        val reader = FrameReader(app.reader, { found.add(it) }, { throw AssertionError(it) })
        assertFalse(reader.offer(90) { throw AssertionError("a frame was copied before the start") })
        reader.start()
        for (round in 1..2) {
            waitFor("a free reader") { reader.offer(90) { Imgcodecs.imread(file.path) } }
            assertFalse(reader.offer(90) { throw AssertionError("a skipped frame was copied") })
            val live = found.poll(60, TimeUnit.SECONDS)
            assertEquals(90, live?.degrees)
            val texts = live?.result?.lines?.map { it.text }
            assertEquals(expectedOf("street_sign.png").texts, texts, "round $round")
        }
    }

    @Test
    @Config(application = NoLibraryApplication::class)
    fun `a frame that cannot be read gives a message each time and blocks none`() {
        val faults = LinkedBlockingQueue<Throwable>()
        val reader = FrameReader(app.reader, { throw AssertionError("$it") }, { faults.add(it) })
        reader.start()
        for (round in 1..2) {
            assertTrue(reader.offer(0) { throw UnsatisfiedLinkError("no library") })
            assertTrue(faults.poll(1, TimeUnit.SECONDS) is LinkageError, "round $round")
        }
    }

    @Test
    fun `frames are turned upright in each position of the device`() {
        // A phone's back camera stands at 90 degrees, its front camera at 270. The display follows the device.
        val turns = (0..3).map(DeviceTurn::ofDisplay)
        assertEquals(listOf(90, 0, 270, 180), turns.map { CameraGeometry.frameDegrees(90, it, front = false) })
        assertEquals(listOf(270, 0, 90, 180), turns.map { CameraGeometry.frameDegrees(270, it, front = true) })
    }

    @Test
    fun `a box is shown where the display has what was read, also when it is locked or mirrored`() {
        // A box at the left edge of an upright frame that the display, turned by one quarter, shows on its side.
        val box = intArrayOf(0, 10, 20, 10, 20, 30, 0, 30)
        assertContentEquals(box, FramePlace(400, 300, 0, false).shown(box))
        assertContentEquals(intArrayOf(400, 10, 380, 10, 380, 30, 400, 30), FramePlace(400, 300, 0, true).shown(box))
        val quarter = FramePlace(400, 300, 90, false)
        assertEquals(300 to 400, quarter.width to quarter.height)
        assertContentEquals(intArrayOf(290, 0, 290, 20, 270, 20, 270, 0), quarter.shown(box))
        assertContentEquals(intArrayOf(400, 290, 380, 290, 380, 270, 400, 270), FramePlace(400, 300, 180, false).shown(box))
        assertContentEquals(intArrayOf(10, 400, 10, 380, 30, 380, 30, 400), FramePlace(400, 300, 270, false).shown(box))
    }

    @Test
    fun `a point of the screen is found in the frame and on the sensor`() {
        for (degrees in listOf(0, 90, 180, 270)) {
            for (mirrored in listOf(false, true)) {
                val place = FramePlace(400, 300, degrees, mirrored)
                val shown = place.shown(intArrayOf(100, 60, 0, 0, 0, 0, 0, 0))
                val point = place.framePoint(shown[0].toFloat() / place.width, shown[1].toFloat() / place.height)
                assertEquals(0.25f, point.x, 1e-3f, "$degrees $mirrored")
                assertEquals(0.2f, point.y, 1e-3f, "$degrees $mirrored")
            }
        }
        val array = Rect(0, 0, 4000, 3000)
        assertEquals(Rect(1775, 1275, 2225, 1725), CameraGeometry.region(0.5f, 0.5f, Size(1280, 960), array))
        assertEquals(Rect(0, 0, 450, 450), CameraGeometry.region(0f, 0f, Size(1280, 960), array))
        // A wide frame shows 2250 of 3000 rows.
        assertEquals(375, CameraGeometry.region(0.5f, 0f, Size(1920, 1080), array).centerY())
        val zoomed = CameraGeometry.zoomed(array, 2f)
        assertEquals(Rect(1000, 750, 3000, 2250), zoomed)
        assertTrue(zoomed.contains(CameraGeometry.region(1f, 1f, Size(1280, 960), zoomed)))
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
