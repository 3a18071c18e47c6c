package org.edgekit.ocr.app

import android.content.Intent
import android.view.View
import android.widget.ListView
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertNotNull
import kotlin.test.assertTrue
import org.edgekit.ocr.OcrLine
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config

/** The app on the oldest Android that it promises to run on: start, a picture, its text, the self-test. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [26])
class Android8Test {
    private val app get() = RuntimeEnvironment.getApplication() as OcrApplication

    @Test
    fun `it starts, reads a picture and passes its self-test`() {
        needsBundle()
        val main = Robolectric.buildActivity(MainActivity::class.java).setup().get()
        waitFor("the engine") { "OpenCV" in main.text(R.id.engine) }
        main.findViewById<View>(R.id.pick).performClick()
        assertEquals(Intent.ACTION_OPEN_DOCUMENT, shadowOf(main).nextStartedActivityForResult.intent.action)
        val screen = Robolectric.buildActivity(ResultActivity::class.java, shared(regressionImage("receipt.png"))).setup().get()
        waitFor("the text") { !screen.shows(R.id.progress) }
        val lines = assertNotNull(screen.findViewById<ListView>(R.id.lines).adapter, screen.text(R.id.status))
        val texts = (0 until lines.count).map { (lines.getItem(it) as OcrLine).text }
        assertEquals(expectedOf("receipt.png").texts, texts)
        screen.screenshot("app_result_android8")
        val checks = ArrayList<Boolean>()
        val listener = object : SelfTestListener {
            override fun running(what: String) = Unit

            override fun checked(check: Check) {
                checks.add(check.passed)
            }

            override fun compared(name: String, comparison: ImageComparison) {
                checks.add(comparison.passed)
            }
        }
        val report = SelfTest(app, SelfTestOptions.VERIFY_ONLY, listener, Silent).run()
        assertEquals(emptyList<String>(), report.errors)
        assertEquals(report.golden.size + report.images.size, checks.count { it })
        assertTrue(report.golden.isNotEmpty() && report.images.isNotEmpty())
        val bench = SelfTestOptions.VERIFY_ONLY.copy(bench = true, rounds = 1)
        val row = SelfTest(app, bench, Silent, Silent).run().bench.single()
        assertEquals(listOf<Int?>(null), row.states.map { it.thermal }, "Android reports it since version 10")
    }
}
