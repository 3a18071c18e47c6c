package org.edgekit.ocr

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import org.opencv.core.CvType
import org.opencv.core.Mat
import org.opencv.core.Scalar

class OcrPipelineTest {
    init {
        HostOpenCv.load()
    }

    private val profile = OcrSpec.parse(specJson).profile()

    /** Finds text everywhere. */
    private val allText = FakeEngine("all") { shape ->
        Tensor(FloatArray(shape[2] * shape[3]) { 0.9f }, intArrayOf(1, 1, shape[2], shape[3]))
    }

    /** Reads "ab" with a score of 0.75. */
    private val readsAb = FakeEngine("ab") {
        Tensor(floatArrayOf(0f, .75f, .25f, 0f, .25f, .75f), intArrayOf(1, 2, 3))
    }

    private fun pipeline(det: InferenceEngine = allText, rec: InferenceEngine = readsAb, rules: OcrProfile = profile) =
        OcrPipeline(rules, det, rec, listOf("a", "b"))

    private fun read(image: Mat, pipeline: OcrPipeline = pipeline()): OcrResult =
        matScope { scope -> pipeline.read(scope.own(image)) }

    @Test
    fun `a line is read with its box, score and timings`() {
        val result = read(plainImage(320, 64))
        assertEquals(listOf("ab"), result.lines.map { it.text })
        assertEquals(0.75, result.lines[0].score)
        assertEquals(listOf(0, 0, 319, 0, 319, 63, 0, 63), result.lines[0].polygon.toList())
        val stages = listOf("det_pre", "det", "det_post", "rec_pre", "rec", "rec_post", "total")
        assertEquals(stages, result.timings.keys.toList())
        assertTrue(result.timings.values.all { it >= 0 } && result.timings.getValue("total") > 0)
    }

    @Test
    fun `lines below the drop score are left out`() {
        assertEquals(0, read(plainImage(320, 64), pipeline(rules = profile.copy(dropScore = 0.76))).lines.size)
        assertEquals(1, read(plainImage(320, 64), pipeline(rules = profile.copy(dropScore = 0.75))).lines.size)
    }

    @Test
    fun `progress reports the boxes first and then each line, dropped ones too`() {
        val reported = ArrayList<String>()
        val progress = object : OcrProgress {
            override fun found(boxes: Int) {
                reported.add("found $boxes")
            }

            override fun recognised() {
                reported.add("recognised")
            }
        }
        val result = matScope { scope ->
            pipeline(rules = profile.copy(dropScore = 0.76)).read(scope.own(plainImage(320, 64)), progress)
        }
        assertEquals(0, result.lines.size)
        assertEquals(listOf("found 1", "recognised"), reported)
    }

    @Test
    fun `images of strange sizes are read`() {
        val sizes = listOf(Pair(1, 1), Pair(1, 2), Pair(3, 1), Pair(2000, 1), Pair(1, 2000), Pair(31, 33), Pair(32766, 8))
        for ((width, height) in sizes) {
            val result = read(plainImage(width, height))
            assertEquals(Pair(width, height), Pair(result.width, result.height))
        }
    }

    @Test
    fun `an image too wide to cut lines from is refused`() =
        assertReports<ImageException>("40000 x 40 pixels") { read(plainImage(40000, 40)) }

    @Test
    fun `an empty image is refused`() = assertReports<ImageException>("no pixels") { read(Mat()) }

    @Test
    fun `an image of another type is refused`() {
        for (type in listOf(CvType.CV_8UC1, CvType.CV_8UC4, CvType.CV_32FC3, CvType.CV_16UC3)) {
            assertReports<ImageException>("not CV_8UC3") { read(Mat(9, 9, type, Scalar(0.0))) }
        }
        assertReports<ImageException>("not CV_8UC3") { read(Mat(intArrayOf(3, 3, 3), CvType.CV_8UC3, Scalar(0.0))) }
    }

    @Test
    fun `a part of a larger image is read as if it stood alone`() {
        val large = plainImage(400, 200)
        val part = large.submat(10, 74, 20, 340)
        assertEquals(1, read(part).lines.size)
        large.release()
    }

    @Test
    fun `an image without text gives no lines`() {
        val nothing = FakeEngine("none") { shape -> Tensor(FloatArray(shape[2] * shape[3]), intArrayOf(1, 1, shape[2], shape[3])) }
        val result = read(plainImage(64, 64), pipeline(det = nothing))
        assertEquals(0, result.lines.size)
        assertEquals(0.0, result.timings["rec"])
    }

    @Test
    fun `values that are not finite stop the pipeline`() {
        val broken = FakeEngine("broken") { shape ->
            Tensor(FloatArray(shape[2] * shape[3]) { Float.NaN }, intArrayOf(1, 1, shape[2], shape[3]))
        }
        assertReports<EngineException>("not finite") { read(plainImage(64, 64), pipeline(det = broken)) }
        val nanText = FakeEngine("nan") { Tensor(FloatArray(6) { Float.NaN }, intArrayOf(1, 2, 3)) }
        assertReports<EngineException>("6 of 6 values") { read(plainImage(64, 64), pipeline(rec = nanText)) }
    }

    @Test
    fun `a detector of another kind is refused`() {
        for (shape in listOf(intArrayOf(1, 2), intArrayOf(1, 2, 4, 4), intArrayOf(1, 1, 0, 4))) {
            val other = FakeEngine("other") { Tensor(FloatArray(shape.fold(1) { a, b -> a * b }), shape) }
            assertReports<ModelException>("not [1, 1, h, w]") { read(plainImage(64, 64), pipeline(det = other)) }
        }
    }

    @Test
    fun `a dictionary of another model is refused`() = assertReports<ModelException>("the dictionary makes 2 classes") {
        read(plainImage(64, 64), OcrPipeline(profile, allText, readsAb, listOf("a")))
    }

    @Test
    fun `an enabled classifier turns lines, and one of other classes is refused`() {
        val rules = profile.copy(classifier = profile.classifier.copy(enabled = true))
        val widths = ArrayList<Int>()
        val upsideDown = FakeEngine("cls") { shape -> widths.add(shape[3]); Tensor(floatArrayOf(0.05f, 0.95f), intArrayOf(1, 2)) }
        val result = read(plainImage(64, 64), OcrPipeline(rules, allText, readsAb, listOf("a", "b"), upsideDown))
        assertEquals(1, result.lines.size)
        assertEquals(listOf(192), widths)
        val three = FakeEngine("cls") { Tensor(floatArrayOf(0f, 0f, 1f), intArrayOf(1, 3)) }
        assertReports<ModelException>("3 classes") {
            read(plainImage(64, 64), OcrPipeline(rules, allText, readsAb, listOf("a", "b"), three))
        }
    }

    @Test
    fun `a known text is taken as it is and the detector's side can be another`() {
        val sides = ArrayList<List<Int>>()
        val det = FakeEngine("sides") { shape ->
            sides.add(shape.toList())
            Tensor(FloatArray(shape[2] * shape[3]) { 0.9f }, intArrayOf(1, 1, shape[2], shape[3]))
        }
        val never = FakeEngine("never") { throw AssertionError("a known line was recognised") }
        val image = plainImage(640, 320)
        val boxes = ArrayList<List<Float>>()
        val result = OcrPipeline(profile, det, never, listOf("a", "b")).read(image, 320) { corners, _ ->
            boxes.add(corners.toList())
            CtcText("known", 0.9)
        }
        image.release()
        assertEquals(listOf(listOf(1, 3, 160, 320)), sides)
        assertEquals(listOf("known" to 0.9), result.lines.map { it.text to it.score })
        assertEquals(result.lines.map { it.polygon.map(Int::toFloat) }, boxes)
        assertEquals(640 to 320, result.width to result.height)
    }

    @Test
    fun `closing a pipeline closes its engines`() {
        pipeline().close()
        assertTrue(allText.closed && readsAb.closed)
    }
}
