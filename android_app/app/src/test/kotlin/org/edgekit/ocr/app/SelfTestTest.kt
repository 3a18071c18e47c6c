package org.edgekit.ocr.app

import android.content.Intent
import android.view.View
import java.io.File
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertTrue
import org.edgekit.ocr.EngineException
import org.edgekit.ocr.OcrLine
import org.edgekit.ocr.OcrResult
import org.json.JSONObject
import org.junit.runner.RunWith
import org.opencv.imgcodecs.Imgcodecs
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.android.controller.ActivityController
import org.robolectric.annotation.Config

@RunWith(RobolectricTestRunner::class)
class SelfTestTest {
    private val app get() = RuntimeEnvironment.getApplication() as OcrApplication
    private val report get() = File(app.getExternalFilesDir(null), "selftest/run1.json")

    private fun start(intent: Intent): ActivityController<SelfTestActivity> =
        Robolectric.buildActivity(SelfTestActivity::class.java, intent).setup()

    @Test
    fun `started as adb does it compares everything and leaves a report`() {
        needsBundle()
        val screen = start(Intent().putExtra("run", true).putExtra("mode", "verify").putExtra("report", "run1.json"))
        assertFalse(screen.get().findViewById<View>(R.id.run).isEnabled)
        screen.recreate()
        waitFor("the self-test", 400) { screen.get().shows(R.id.report_path) }
        screen.get().screenshot("app_selftest_light")
        val found = JSONObject(report.readText())
        report.copyTo(File(System.getProperty("edgekit.screenshots"), "selftest.json"), overwrite = true)
        assertEquals(0, found.getJSONArray("errors").length(), found.getJSONArray("errors").toString())
        val golden = found.getJSONArray("golden")
        assertTrue(golden.length() > 0)
        for (i in 0 until golden.length()) assertTrue(golden.getJSONObject(i).getBoolean("passed"), "${golden[i]}")
        val names = Expected.parse(File(assetsFolder, "selftest/expected.json").readText()).map { it.name }
        val images = found.getJSONArray("images")
        assertEquals(names, (0 until images.length()).map { images.getJSONObject(it).getString("name") })
        val checks = golden.length() + images.length()
        assertEquals(screen.get().getString(R.string.selftest_passed, checks), screen.get().text(R.id.selftest_status))
    }

    @Test
    @Config(application = NoLibraryApplication::class)
    fun `what stops the test stands in the report and on the screen`() {
        val screen = start(Intent().putExtra("run", true).putExtra("report", "run1.json")).get()
        waitFor("the end") { screen.shows(R.id.report_path) }
        assertTrue("opencv_java4" in JSONObject(report.readText()).getJSONArray("errors").getString(0))
        assertTrue(screen.getString(R.string.error_native) in screen.text(R.id.selftest_status))
        val reading = Robolectric.buildActivity(ResultActivity::class.java, shared(hugePng(1, 1))).setup().get()
        waitFor("a message") { !reading.shows(R.id.progress) }
        assertTrue(reading.getString(R.string.error_native) in reading.text(R.id.status))
    }

    @Test
    fun `measuring gives a time and the device's state for each round`() {
        needsBundle()
        app.loadOpenCv()
        val file = File(app.cacheDir, "tiny.png").apply { writeBytes(regressionImage("tiny.png")) }
        val image = Imgcodecs.imread(file.path, Imgcodecs.IMREAD_COLOR)
        val settings = app.settings.load(app.bundle).copy(threads = 2, powerMode = "LITE_POWER_FULL")
        val states = arrayListOf(0, 0, 2, 1).map { DeviceState(it, hidden = it == 2) }.iterator()
        val row = app.pipelines.open(settings, Silent).use { Bench(listOf(image), 1, 3, states::next).measure(it, settings) }
        assertEquals(listOf(3, 3, 3), listOf(row.det.size, row.rec.size, row.total.size))
        assertTrue(row.det.indices.all { row.det[it] > 0 && row.total[it] >= row.det[it] + row.rec[it] })
        assertEquals(listOf<Int?>(0, 2, 2), row.states.map { it.thermal })
        assertEquals(listOf(false, true, true), row.states.map { it.hidden })
        assertEquals(2 to null, row.threads to row.powerMode)
        val lite = BenchRow(settings.copy(engine = ENGINE_PADDLE_LITE), row.det, row.rec, row.total, row.states)
        assertEquals("LITE_POWER_FULL", lite.powerMode)
    }

    @Test
    fun `a bench measures the setting that it is given and leaves the schema's report`() {
        needsBundle()
        val extras = Intent().putExtra("run", true).putExtra("report", "run1.json").putExtra("mode", "bench")
            .putExtra("threads", "2").putExtra("power", "LITE_POWER_LOW").putExtra("rounds", "1")
        val screen = start(extras).get()
        waitFor("the bench", 400) { screen.shows(R.id.report_path) }
        report.copyTo(File(System.getProperty("edgekit.screenshots"), "bench.json"), overwrite = true)
        val found = JSONObject(report.readText())
        assertEquals(0, found.getJSONArray("errors").length(), found.getJSONArray("errors").toString())
        assertEquals(0, found.getJSONArray("images").length())
        val row = found.getJSONArray("bench").getJSONObject(0)
        assertEquals(2, row.getInt("threads"))
        assertTrue(row.isNull("power_mode"), "OpenCV knows no power modes")
        for (key in listOf("total_ms", "thermal", "hidden")) assertEquals(1, row.getJSONArray(key).length(), key)
    }

    @Test
    fun `the list of recent apps does not run it again`() {
        val asked = Intent().putExtra("run", true).putExtra("report", "run1.json")
        val screen = start(asked.addFlags(Intent.FLAG_ACTIVITY_LAUNCHED_FROM_HISTORY)).get()
        assertTrue(screen.findViewById<View>(R.id.run).isEnabled)
        assertEquals("", screen.text(R.id.selftest_status))
    }

    @Test
    fun `extras of the intent are read and others refused`() {
        val options = SelfTestOptions.of(
            Intent().putExtra("mode", "bench").putExtra("threads", "4").putExtra("power", "LITE_POWER_HIGH").putExtra("rounds", "2"),
        )
        assertEquals(listOf(4, 2), listOf(options.threads, options.rounds))
        assertEquals("LITE_POWER_HIGH", options.powerMode)
        assertTrue(options.bench)
        val bad = listOf(
            "mode" to "destroy", "threads" to "0", "threads" to "1,2", "threads" to "99", "power" to "HIGH",
            "power" to "LITE_POWER_HIGH,LITE_POWER_LOW", "rounds" to "0", "rounds" to "101", "engine" to "tflite", "report" to "../../databases/x.json", "report" to "x.txt",
        )
        for ((extra, value) in bad) {
            val error = assertFailsWith<EngineException>(value) { SelfTestOptions.of(Intent().putExtra(extra, value)) }
            assertTrue(value in error.message.orEmpty())
        }
        val screen = start(Intent().putExtra("run", true).putExtra("mode", "destroy")).get()
        assertTrue("destroy" in screen.text(R.id.selftest_status))
    }

    @Test
    fun `a comparison passes only for the same lines at the same places`() {
        val box = intArrayOf(0, 0, 9, 0, 9, 5, 0, 5)
        val expected = Expected("a.png", listOf(box), listOf("text"), listOf(0.9))
        val found = { text: String, moved: Int, score: Double ->
            OcrResult(listOf(OcrLine(IntArray(8) { box[it] + moved }, 0.8, text, score)), emptyMap(), 10, 10)
        }
        assertTrue(ImageComparison(expected, found("text", 0, 0.9)).passed)
        assertFalse(ImageComparison(expected, found("next", 0, 0.9)).passed)
        assertFalse(ImageComparison(expected, found("text", 2, 0.9)).passed)
        assertFalse(ImageComparison(expected, found("text", 0, 0.5)).passed)
        assertFalse(ImageComparison(expected, OcrResult(emptyList(), emptyMap(), 10, 10)).passed)
        assertEquals(2, ImageComparison(expected, found("text", 2, 0.9)).shift)
    }
}
