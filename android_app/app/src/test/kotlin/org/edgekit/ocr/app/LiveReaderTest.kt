package org.edgekit.ocr.app

import java.io.File
import java.util.Random
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue
import org.edgekit.ocr.InferenceEngine
import org.edgekit.ocr.LimitType
import org.edgekit.ocr.OcrPipeline
import org.edgekit.ocr.OcrSpec
import org.edgekit.ocr.Tensor
import org.junit.Before
import org.junit.runner.RunWith
import org.opencv.core.CvType
import org.opencv.core.Mat
import org.opencv.core.Rect
import org.opencv.core.Size
import org.opencv.imgproc.Imgproc
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment

/** Under Robolectric for OpenCV's sake: a native library belongs to one class loader of the process. */
@RunWith(RobolectricTestRunner::class)
class LiveReaderTest {
    @Before
    fun openCv() = (RuntimeEnvironment.getApplication() as OcrApplication).loadOpenCv()

    private class Engine(override val name: String, private val answer: (IntArray) -> Tensor) : InferenceEngine {
        val shapes = ArrayList<List<Int>>()

        override fun run(input: FloatArray, shape: IntArray): Tensor {
            shapes.add(shape.toList())
            return answer(shape)
        }

        override fun close() = Unit
    }

    /** Finds a line in the upper and one in the lower half. */
    private val det = Engine("det") { (_, _, height, width) ->
        val map = FloatArray(height * width)
        for (row in listOf(height / 4, height * 3 / 4)) {
            for (y in row - 15..row + 15) map.fill(0.9f, y * width + 40, y * width + width - 40)
        }
        Tensor(map, intArrayOf(1, 1, height, width))
    }
    private val rec = Engine("rec") { Tensor(floatArrayOf(0f, .95f, .05f), intArrayOf(1, 1, 3)) }
    private val profile = OcrSpec.parse(File("../golden/ocr_spec.json").readText()).profile()
    private val pipeline = OcrPipeline(profile, det, rec, listOf("a", "b"))
    private var now = 0L
    private var stopped = false
    private val reader = LiveReader({ now }) { if (stopped) throw ReadCancelled() }

    private fun frame(seed: Long): Mat {
        val random = Random(seed)
        val coarse = Mat(24, 32, CvType.CV_8UC3)
        coarse.put(0, 0, ByteArray(24 * 32 * 3).also(random::nextBytes))
        val large = Mat()
        Imgproc.resize(coarse, large, Size(1280.0, 960.0))
        return large
    }

    @Test
    fun `a frame is detected at a small side and only what changed is recognised`() {
        val (one, other) = frame(1) to frame(2)
        val first = reader.read(pipeline, one)
        assertEquals(listOf("a", "a"), first.lines.map { it.text })
        assertEquals(listOf(listOf(1, 3, 480, 640)), det.shapes)
        assertEquals(1280 to 960, first.width to first.height)
        assertEquals(2, rec.shapes.size)
        now = 200
        assertEquals(first.lines, reader.read(pipeline, one).lines)
        assertEquals(2, rec.shapes.size)
        now = 400
        val lower = Rect(0, 480, 1280, 480)
        other.submat(lower).copyTo(one.submat(lower))
        reader.read(pipeline, one)
        assertEquals(3, rec.shapes.size)
        now = 7000
        reader.read(pipeline, one)
        assertEquals(5, rec.shapes.size, "after a while the text is read anew")
    }

    @Test
    fun `the user's own smaller side holds for frames too`() {
        val small = OcrPipeline(profile.copy(detection = profile.detection.copy(limitSideLen = 320)), det, rec, listOf("a", "b"))
        reader.read(small, frame(1))
        assertEquals(listOf(listOf(1, 3, 256, 320)), det.shapes)
    }

    @Test
    fun `frames are read small by a profile too that limits the shorter side`() {
        val rules = profile.detection.copy(limitType = LimitType.MIN, limitSideLen = 64, maxSideLimit = 4000)
        val large = OcrPipeline(profile.copy(detection = rules), det, rec, listOf("a", "b"))
        reader.read(large, frame(1))
        assertEquals(listOf(listOf(1, 3, 480, 640)), det.shapes)
    }

    @Test
    fun `a frame that nobody waits for is not read to its end`() {
        stopped = true
        assertFailsWith<ReadCancelled> { reader.read(pipeline, frame(1)) }
        assertTrue(rec.shapes.isEmpty())
    }
}
