package org.edgekit.ocr.app

import android.app.Activity
import android.graphics.Bitmap
import android.graphics.Canvas
import android.os.Looper
import android.view.View
import java.io.File
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import kotlin.test.Test
import kotlin.test.assertNotNull
import kotlin.test.assertTrue
import org.edgekit.ocr.OcrLine
import org.edgekit.ocr.OcrResult
import org.junit.Before
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.shadows.ShadowAlertDialog

/** How the screens look in a moment, and with Paddle Lite: a picture being read, the list of pictures, the notice. */
@RunWith(RobolectricTestRunner::class)
@Config(application = LiteApplication::class)
class LiteScreensTest {
    private val app get() = RuntimeEnvironment.getApplication() as LiteApplication
    private val go = CountDownLatch(1)

    @Before
    fun bundle() = needsBundle()

    private fun <T : Activity> show(screen: Class<T>): T = Robolectric.buildActivity(screen).setup().get()

    /** A picture that was read long ago, without a model. */
    private fun kept(name: String, texts: List<String>) {
        val lines = texts.map { OcrLine(intArrayOf(0, 0, 9, 0, 9, 5, 0, 5), 0.9, it, 0.9) }
        val session = app.sessions.create()
        session.import(regressionImage(name).inputStream())
        session.put(session.thumb, regressionImage(name))
        session.keep(Reading(OcrResult(lines, mapOf("total" to 0.1), 10, 10), ENGINE_OPENCV, 10, 10))
    }

    private fun pictures(): PicturesActivity {
        for (name in listOf("empty.png", "street_sign.png", "receipt.png", "photo.jpg")) kept(name, expectedOf(name).texts)
        app.sessions.create().import(regressionImage("english.png").inputStream())
        val screen = show(PicturesActivity::class.java)
        waitFor("the rows") { screen.findViewById<android.widget.ListView>(R.id.pictures).count == app.sessions.all().size }
        return screen
    }

    /** A picture in the middle of its reading. */
    private fun reading(): ResultActivity {
        app.lite.onRun = { _, size -> if (size > SMALL) go.await(60, TimeUnit.SECONDS) }
        val screen = Robolectric.buildActivity(ResultActivity::class.java, shared(regressionImage("large.png"))).setup().get()
        waitFor("the picture") { screen.findViewById<PictureView>(R.id.picture).isShowing }
        val job = assertNotNull(app.reader.jobOf(app.sessions.all().first().id))
        job.found(12)
        repeat(3) { job.recognised() }
        waitFor("the count") { "12" in screen.text(R.id.progress_text) }
        return screen
    }

    private fun all(look: String) {
        val reading = reading()
        reading.screenshot("app_reading_$look")
        assertTrue(shadowOf(reading).clickMenuItem(R.id.action_delete))
        val dialog = assertNotNull(ShadowAlertDialog.getLatestAlertDialog().window).decorView
        picture(dialog, "app_delete_$look")
        go.countDown()
        app.settings.fallBack()
        val main = show(MainActivity::class.java)
        waitFor("the engine") { main.text(R.id.engine).isNotEmpty() && main.shows(R.id.pictures) }
        main.screenshot("app_notice_$look")
        app.settings.retryLite()
        val settings = show(SettingsActivity::class.java)
        settings.screenshot("app_settings_lite_$look")
        val pictures = pictures()
        pictures.screenshot("app_pictures_$look")
        for (screen in listOf(reading, main, settings, pictures)) {
            everyControlHasWords(screen.window.decorView)
            nothingIsCut(screen.findViewById(R.id.root), screen.javaClass.simpleName + " " + look)
        }
    }

    private fun picture(view: View, name: String) {
        shadowOf(Looper.getMainLooper()).idle()
        val bitmap = Bitmap.createBitmap(view.width, view.height, Bitmap.Config.ARGB_8888)
        view.draw(Canvas(bitmap))
        File(System.getProperty("edgekit.screenshots"), "$name.png").outputStream().use {
            bitmap.compress(Bitmap.CompressFormat.PNG, 100, it)
        }
    }

    @Test
    fun `light`() = all("light")

    @Test
    fun `dark`() {
        RuntimeEnvironment.setQualifiers("+night")
        all("dark")
    }

    @Test
    fun `Chinese`() {
        RuntimeEnvironment.setQualifiers("+zh-rCN")
        all("chinese")
    }

    @Test
    fun `Chinese and dark`() {
        RuntimeEnvironment.setQualifiers("+zh-rCN-night")
        all("chinese_dark")
    }

    @Test
    fun `large letters`() {
        RuntimeEnvironment.setFontScale(2f)
        all("large")
    }

    private companion object {
        const val SMALL = 3 * 320 * 320
    }
}
