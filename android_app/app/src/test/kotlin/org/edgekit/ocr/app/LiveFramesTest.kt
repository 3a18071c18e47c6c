package org.edgekit.ocr.app

import java.io.File
import java.lang.management.ManagementFactory
import java.util.Random
import kotlin.math.abs
import kotlin.test.Test
import kotlin.test.assertTrue
import org.edgekit.ocr.CtcText
import org.edgekit.ocr.OcrPipeline
import org.junit.runner.RunWith
import org.opencv.core.Core
import org.opencv.core.Mat
import org.opencv.core.MatOfByte
import org.opencv.core.Point
import org.opencv.core.Scalar
import org.opencv.core.Size
import org.opencv.imgcodecs.Imgcodecs
import org.opencv.imgproc.Imgproc
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment

/** Live mode on frames as a hand holds the camera: how much it recognises anew, and what keeping texts costs. */
@RunWith(RobolectricTestRunner::class)
class LiveFramesTest {
    private val app get() = RuntimeEnvironment.getApplication() as OcrApplication
    private val random = Random(5)

    /** What was counted: lines seen, recognised, kept, and kept although the frame by itself gives another text. */
    private class Counts {
        var seen = 0
        var kept = 0
        var other = 0

        override fun toString() = "$seen lines, $kept kept, of these $other would have been read differently"
    }

    private fun scene(name: String): Mat {
        val image = Imgcodecs.imdecode(MatOfByte(*regressionImage(name)), Imgcodecs.IMREAD_COLOR)
        val scale = minOf(1100.0 / image.cols(), 820.0 / image.rows(), 1.5)
        return Mat().also { Imgproc.resize(image, it, Size(), scale, scale, Imgproc.INTER_AREA) }
    }

    /** A frame of [scene]: moved by some pixels, turned by part of a degree, lighter or darker, noisy, a little blurred. */
    private fun frame(scene: Mat): Mat {
        val gauss = { deviation: Double -> random.nextGaussian() * deviation }
        val middle = Point(scene.cols() / 2.0, scene.rows() / 2.0)
        val move = Imgproc.getRotationMatrix2D(middle, gauss(0.25), 1 + gauss(0.004))
        move.put(0, 2, move.get(0, 2)[0] + 640 - middle.x + gauss(2.0))
        move.put(1, 2, move.get(1, 2)[0] + 480 - middle.y + gauss(2.0))
        val frame = Mat()
        Imgproc.warpAffine(scene, frame, move, Size(1280.0, 960.0), Imgproc.INTER_LINEAR, Core.BORDER_CONSTANT, Scalar(120.0, 125.0, 130.0))
        val blur = abs(gauss(0.6))
        if (blur > 0.1) Imgproc.GaussianBlur(frame, frame, Size(), blur)
        frame.convertTo(frame, -1, 1 + gauss(0.04), 0.0)
        val noise = Mat(frame.size(), org.opencv.core.CvType.CV_16SC3)
        Core.randn(noise, 0.0, 3.0)
        Core.add(frame, noise, frame, Mat(), frame.type())
        return frame
    }

    private fun cpuMillis(work: () -> Unit): Long {
        val threads = ManagementFactory.getThreadMXBean()
        val begin = threads.currentThreadCpuTime
        work()
        return (threads.currentThreadCpuTime - begin) / 1_000_000
    }

    private fun count(pipeline: OcrPipeline, lines: LiveLines, frame: Mat, counts: Counts) {
        pipeline.read(frame, LiveReader.SIDE) { corners, recognise ->
            val bounds = Bounds.of(corners)
            val fresh = recognise()
            var kept = true
            val given: CtcText = lines.text(bounds, { w, h -> linePrint(frame, bounds, w, h) }) { fresh.also { kept = false } }
            counts.seen++
            if (kept) counts.kept++
            if (kept && given.text != fresh.text) counts.other++
            given
        }
    }

    @Test
    fun `most lines of a hand-held camera are kept, and what is kept is what is there`() {
        needsBundle()
        app.loadOpenCv()
        val threads = Core.getNumThreads()
        val settings = app.settings.load(app.bundle).copy(threads = 1)
        val report = StringBuilder()
        app.pipelines.open(settings, Silent).use { pipeline ->
            Core.setNumThreads(1)
            val counts = Counts()
            for (name in listOf("receipt.png", "photo.jpg", "street_sign.png")) {
                val frames = scene(name).let { scene -> List(FRAMES) { frame(scene) } }
                val lines = LiveLines()
                frames.forEachIndexed { i, frame ->
                    lines.begin(i * 100L)
                    count(pipeline, lines, frame, counts)
                }
                val still = cpuMillis { pipeline.read(frames[0]) }
                val reader = LiveReader { }
                val first = cpuMillis { reader.read(pipeline, frames[0]) }
                val next = frames.drop(1).map { frame -> cpuMillis { reader.read(pipeline, frame) } }.sorted()
                report.append("$name: $still ms as a picture, $first ms as the first frame, ${next[next.size / 2]} ms as a later one\n")
            }
            report.append("$counts\n")
            assertTrue(counts.kept >= 0.75 * (counts.seen * (FRAMES - 1) / FRAMES), "$counts")
            Core.setNumThreads(threads)
            assertTrue(counts.other <= 0.1 * counts.kept, "$counts")
        }
        File(System.getProperty("edgekit.screenshots")).mkdirs()
        File(System.getProperty("edgekit.screenshots"), "live.txt").writeText(report.toString())
        print(report)
    }

    private companion object {
        const val FRAMES = 5
    }
}
