package org.edgekit.ocr.app

import android.content.res.AssetManager
import java.io.File
import java.io.IOException
import java.io.InputStream
import org.edgekit.ocr.BundleException
import org.edgekit.ocr.Conformance
import org.edgekit.ocr.OcrException
import org.edgekit.ocr.OcrPipeline
import org.edgekit.ocr.VectorSource
import org.opencv.core.Mat

/** Receives the progress of a self-test. */
interface SelfTestListener {
    fun checked(check: Check)

    fun compared(name: String, comparison: ImageComparison)

    fun running(what: String)
}

/**
 * Compares this device with what the build recorded, golden vectors of each stage and the regression images, or
 * measures how long those images take.
 *
 * An error ends only the part it happens in, and stands in the report.
 */
class SelfTest(
    private val app: OcrApplication,
    private val options: SelfTestOptions,
    private val listener: SelfTestListener,
    private val watch: RunWatch,
) {
    private val assets: AssetManager = app.assets
    private val settings = app.settings.load(app.bundle).let { it.copy(engine = options.engine ?: it.engine) }
    private val report = SelfTestReport(settings.engine, app.bundle.info)

    /** Runs everything and returns the report; only the user's cancelling ends it early, as [ReadCancelled]. */
    fun run(): SelfTestReport {
        app.loadOpenCv()
        if (options.engine == null && app.settings.fellBack) {
            report.errors.add("engine: paddle_lite ended the app when it ran last; opencv takes its place")
        }
        if (options.bench) {
            part("bench") { bench() }
        } else {
            part("golden vectors") { golden() }
            part("images") { images() }
        }
        return report
    }

    private fun part(name: String, work: () -> Unit) {
        try {
            work()
        } catch (error: OcrException) {
            report.errors.add(listOfNotNull("$name: ${error.message}", error.hint).joinToString("; "))
        } catch (error: IOException) {
            report.errors.add("$name: ${error.message}")
        } catch (error: OutOfMemoryError) {
            report.errors.add("$name: too little memory")
        }
    }

    private fun golden() {
        if (assets.list(GOLDEN).isNullOrEmpty()) throw BundleException("the app holds no golden vectors")
        listener.running(GOLDEN)
        Conformance.run(AssetVectors(assets)) { case ->
            watch.beforeRun()
            val check = Check(case.name, case.passed, case.message)
            report.golden.add(check)
            listener.checked(check)
        }
    }

    private fun images() {
        withPipeline(settings) { pipeline ->
            for (expected in expected()) {
                listener.running(expected.name)
                val image = load(expected.name)
                val result = try {
                    pipeline.read(image)
                } finally {
                    image.release()
                }
                report.images.add(ImageRow(expected.name, result))
                listener.compared(expected.name, ImageComparison(expected, result))
            }
        }
    }

    private fun bench() {
        val images = ArrayList<Mat>()
        try {
            for (row in expected()) images.add(load(row.name))
            val wanted = settings.copy(
                threads = options.threads ?: settings.threads,
                powerMode = options.powerMode ?: settings.powerMode,
            )
            listener.running("${wanted.threads}, ${wanted.powerMode}")
            val bench = Bench(images, WARM_UP, options.rounds) { DeviceState.of(app) }
            report.bench.add(withPipeline(wanted) { bench.measure(it, wanted) })
        } finally {
            for (image in images) image.release()
        }
    }

    private fun <T> withPipeline(settings: ReadSettings, work: (OcrPipeline) -> T): T =
        app.pipelines.open(settings, watch).use { work(it) }

    private fun expected(): List<Expected> =
        Expected.parse(assets.open("$IMAGES/expected.json").use { String(it.readBytes(), Charsets.UTF_8) })

    /** Decodes an image as a shared one is decoded: from a file, which the asset is copied to. */
    private fun load(name: String): Mat {
        val file = File(app.cacheDir, "selftest_image")
        try {
            replace(file, assets.open("$IMAGES/$name").use { it.readBytes() })
            return PictureDecoder(MemoryBudget.pixels(app), app.bundle.alpha).decode(file).image
        } finally {
            file.delete()
        }
    }

    companion object {
        const val GOLDEN = "golden"
        const val IMAGES = "selftest"

        /** Rounds that do not count; the pipeline itself has run before. */
        private const val WARM_UP = 1
    }
}

private class AssetVectors(private val assets: AssetManager) : VectorSource {
    override fun open(name: String): InputStream = assets.open("${SelfTest.GOLDEN}/$name")
}
