package org.edgekit.ocr.app

import android.Manifest
import android.app.Activity
import android.content.Intent
import android.content.res.Configuration
import android.graphics.Insets
import android.view.View
import android.view.WindowInsets
import android.widget.ListView
import android.widget.Spinner
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertNotNull
import kotlin.test.assertTrue
import org.junit.Before
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config

/** How the screens look: each is drawn light, dark, in Chinese and with large letters, and left as a picture. */
@RunWith(RobolectricTestRunner::class)
@Config(shadows = [ShadowMetadata::class, ShadowRequestBuilder::class, ShadowAnswer::class, ShadowSession::class])
class ScreensTest {
    private val app get() = RuntimeEnvironment.getApplication() as OcrApplication

    @Before
    fun bundle() = needsBundle()

    private fun <T : Activity> show(screen: Class<T>): T = Robolectric.buildActivity(screen).setup().get()

    private fun result(name: String): ResultActivity {
        val screen = Robolectric.buildActivity(ResultActivity::class.java, shared(regressionImage(name))).setup().get()
        waitFor("the text of $name") { !screen.shows(R.id.progress) }
        screen.findViewById<PictureView>(R.id.picture).onLine?.invoke(2)
        return screen
    }

    /** Live, with the text of the last result over a preview that the host cannot draw. */
    private fun camera(): CameraActivity {
        addCamera()
        shadowOf(app).grantPermissions(Manifest.permission.CAMERA)
        val screen = Robolectric.buildActivity(CameraActivity::class.java, CameraActivity.intent(app, live = true)).setup().get()
        screen.surface()
        val reading = assertNotNull(app.sessions.all().firstOrNull()?.reading)
        screen.show(LiveResult(reading.result, screen.findViewById<BoxOverlay>(R.id.boxes).displayDegrees))
        return screen
    }

    private fun all(look: String) {
        val result = result("receipt.png")
        result.screenshot("app_result_$look")
        val main = show(MainActivity::class.java)
        main.screenshot("app_main_$look")
        val settings = show(SettingsActivity::class.java)
        settings.screenshot("app_settings_$look")
        val denied = show(CameraActivity::class.java)
        denied.screenshot("app_camera_denied_$look")
        val camera = camera()
        camera.screenshot("app_camera_$look")
        val licences = show(LicencesActivity::class.java)
        waitFor("the licences") { licences.findViewById<ListView>(R.id.licences).count > 0 }
        licences.screenshot("app_licences_$look")
        for (screen in listOf(result, main, settings, denied, camera, licences)) {
            everyControlHasWords(screen.window.decorView)
            nothingIsCut(screen.findViewById(R.id.root), screen.javaClass.simpleName + " " + look)
        }
    }

    @Test
    fun `light`() = all("light")

    @Test
    fun `dark`() {
        RuntimeEnvironment.setQualifiers("+night")
        val screen = show(MainActivity::class.java)
        val mode = screen.resources.configuration.uiMode and Configuration.UI_MODE_NIGHT_MASK
        assertEquals(Configuration.UI_MODE_NIGHT_YES, mode)
        all("dark")
    }

    @Test
    fun `Chinese`() {
        RuntimeEnvironment.setQualifiers("+zh-rCN")
        assertEquals("选择图片", show(MainActivity::class.java).text(R.id.pick))
        all("chinese")
    }

    @Test
    fun `large letters`() {
        RuntimeEnvironment.setFontScale(2f)
        all("large")
    }

    @Test
    fun `on its side`() {
        RuntimeEnvironment.setQualifiers("+w891dp-h411dp-land")
        all("landscape")
    }

    @Test
    fun `content stays clear of bars and cutouts`() {
        val root = show(MainActivity::class.java).findViewById<View>(R.id.root)
        val insets = WindowInsets.Builder()
            .setInsets(WindowInsets.Type.systemBars(), Insets.of(0, 48, 0, 96))
            .setInsets(WindowInsets.Type.displayCutout(), Insets.of(60, 0, 0, 0))
            .build()
        root.dispatchApplyWindowInsets(insets)
        assertEquals(listOf(60, 48, 0, 96), listOf(root.paddingLeft, root.paddingTop, root.paddingRight, root.paddingBottom))
    }

    @Test
    fun `settings are kept and can be taken back`() {
        val screen = show(SettingsActivity::class.java)
        val built = app.bundle.runtime
        assertEquals(ENGINE_OPENCV, app.settings.load(app.bundle).engine)
        val side = screen.findViewById<Spinner>(R.id.side)
        side.setSelection((0 until side.count).first { side.getItemAtPosition(it) == "640" })
        waitFor("the choice") { app.settings.load(app.bundle).limitSideLen == 640 }
        assertTrue(screen.shows(R.id.engine_note))
        assertFalse(screen.findViewById<View>(R.id.power).isEnabled)
        screen.findViewById<View>(R.id.reset).performClick()
        assertEquals(built.limitSideLen, app.settings.load(app.bundle).limitSideLen)
    }

    @Test
    fun `an engine that this app lacks falls back to the one it has`() {
        app.settings.save(app.settings.load(app.bundle).copy(engine = ENGINE_PADDLE_LITE))
        assertEquals(ENGINE_OPENCV, app.settings.load(app.bundle).engine)
        val options = Intent().putExtra(SelfTestOptions.ENGINE, ENGINE_PADDLE_LITE)
        val report = SelfTest(app, SelfTestOptions.of(options), Silent, Silent).run()
        assertTrue(report.errors.any { "Paddle Lite" in it }, report.errors.toString())
    }
}

/** Watches nothing. */
object Silent : SelfTestListener, RunWatch {
    override fun beforeRun() = Unit

    override fun running(what: String) = Unit

    override fun checked(check: Check) = Unit

    override fun compared(name: String, comparison: ImageComparison) = Unit
}
