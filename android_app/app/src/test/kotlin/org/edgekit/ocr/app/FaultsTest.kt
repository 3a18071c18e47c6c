package org.edgekit.ocr.app

import android.app.Activity
import android.content.ComponentCallbacks2
import android.content.Intent
import android.graphics.Rect
import android.os.TransactionTooLargeException
import android.util.TypedValue
import java.io.IOException
import java.io.InputStream
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertNotNull
import kotlin.test.assertTrue
import org.edgekit.ocr.EngineException
import org.edgekit.ocr.ImageException
import org.edgekit.ocr.OcrLine
import org.edgekit.ocr.OcrResult
import org.junit.runner.RunWith
import org.opencv.core.CvException
import org.opencv.core.CvType
import org.opencv.core.Mat
import org.opencv.core.Scalar
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import org.robolectric.annotation.Config
import org.robolectric.shadows.ShadowAlertDialog
import org.robolectric.shadows.ShadowToast

/** What the system, other apps and the user may do at a bad moment: a message, never a crash. */
@RunWith(RobolectricTestRunner::class)
class FaultsTest {
    private val app get() = RuntimeEnvironment.getApplication() as OcrApplication

    private fun start(intent: Intent): ActivityController<ResultActivity> =
        Robolectric.buildActivity(ResultActivity::class.java, intent).setup()

    /** A picture that was read, without a model. */
    private fun readSession(): Session {
        val line = OcrLine(intArrayOf(0, 0, 9, 0, 9, 5, 0, 5), 0.9, "text", 0.9)
        return app.sessions.create().also {
            it.keep(Reading(OcrResult(listOf(line), mapOf("total" to 0.1), 10, 10), ENGINE_OPENCV, 10, 10))
        }
    }

    @Test
    fun `another app may share what is no address of a picture`() {
        val intents = listOf(
            Intent(Intent.ACTION_SEND).putExtra(Intent.EXTRA_STREAM, "a text"),
            Intent(Intent.ACTION_SEND).putExtra(Intent.EXTRA_STREAM, Rect(1, 2, 3, 4)),
            Intent(Intent.ACTION_SEND).putExtra("session", 7),
            Intent(),
        )
        for (intent in intents) {
            val screen = start(intent).get()
            waitFor("a message") { !screen.shows(R.id.progress) }
            assertTrue(screen.getString(R.string.error_open) in screen.text(R.id.status), screen.text(R.id.status))
            screen.screenshot("app_error_light")
        }
    }

    @Test
    fun `too little memory is called by its name wherever it ran out`() {
        val native = CvException("OpenCV(4.11.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate")
        val short = listOf(OutOfMemoryError(), ImageException("x", null, OutOfMemoryError()), EngineException("x", null, native))
        for (error in short) assertTrue(app.getString(R.string.error_memory) in Messages.of(app, error), "$error")
        val other = EngineException("x", null, CvException("error: (-215:Assertion failed) !_src.empty()"))
        assertTrue(app.getString(R.string.error_engine) in Messages.of(app, other))
    }

    @Test
    fun `a picture that breaks off was taken back, and the storage is not blamed`() {
        val broken = object : InputStream() {
            override fun read(): Int = throw IOException("the provider died")
        }
        val error = assertFailsWith<PictureGone> { app.sessions.create().import(broken) }
        assertTrue(app.getString(R.string.error_open) in Messages.of(app, error))
    }

    @Test
    fun `a frame that memory lacks for gives a message each time and blocks none`() {
        val faults = LinkedBlockingQueue<Throwable>()
        val reader = FrameReader(app.reader, { throw AssertionError("$it") }, { faults.add(it) })
        reader.start()
        for (round in 1..2) {
            assertTrue(reader.offer(0) { throw OutOfMemoryError() })
            assertTrue(faults.poll(1, TimeUnit.SECONDS) is OutOfMemoryError, "round $round")
        }
    }

    @Test
    fun `the models are released when a frame lacks memory, wherever it ran out`() {
        needsBundle()
        val native = CvException("OpenCV(4.11.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate")
        for (error in listOf(OutOfMemoryError(), ImageException("x", null, native))) {
            app.reader.submit { pipeline -> pipeline() }
            waitFor("the models") { app.reader.isOpen }
            val reader = FrameReader(app.reader, { throw error }, { })
            reader.start()
            assertTrue(reader.offer(0) { Mat(64, 64, CvType.CV_8UC3, Scalar(9.0, 9.0, 9.0)) })
            waitFor("their end") { !app.reader.isOpen }
            reader.stop()
        }
    }

    @Test
    fun `in the background the models go when the system asks for memory`() {
        needsBundle()
        app.reader.submit { pipeline -> pipeline() }
        waitFor("the models") { app.reader.isOpen }
        app.onTrimMemory(ComponentCallbacks2.TRIM_MEMORY_UI_HIDDEN)
        app.onTrimMemory(ComponentCallbacks2.TRIM_MEMORY_BACKGROUND)
        waitFor("their end") { !app.reader.isOpen }
    }

    @Test
    @Config(application = OtherOpenCvApplication::class)
    fun `nothing is read with an OpenCV that finds other boxes`() {
        val screen = start(shared(hugePng(1, 1))).get()
        waitFor("a message") { !screen.shows(R.id.progress) }
        assertTrue("its library is 4.9.0" in screen.text(R.id.status), screen.text(R.id.status))
    }

    @Test
    fun `what is loaded in the background comes back to the main thread, and not to a screen that is gone`() {
        val screen = Robolectric.buildActivity(PlainActivity::class.java).setup()
        val threads = ArrayList<Thread>()
        screen.get().load({ Thread.currentThread() }) { threads += listOf(it, Thread.currentThread()) }
        waitFor("the result") { threads.size == 2 }
        assertEquals(listOf("disk", Thread.currentThread().name), threads.map { it.name })
        val done = LinkedBlockingQueue<Int>()
        screen.get().load({ done.add(1) }) { threads.clear() }
        screen.pause().stop().destroy()
        assertNotNull(done.poll(10, TimeUnit.SECONDS))
        shadowOf(android.os.Looper.getMainLooper()).idle()
        assertEquals(2, threads.size)
    }

    @Test
    fun `a text that is too long for the system is not shared and says so`() {
        val screen = Robolectric.buildActivity(FullActivity::class.java).setup().get()
        screen.share("x", R.string.share_text)
        assertEquals(screen.getString(R.string.share_too_long), ShadowToast.getTextOfLatestToast())
    }

    @Test
    fun `a dialog ends with its screen`() {
        val screen = start(ResultActivity.intent(app, readSession()))
        assertTrue(shadowOf(screen.get()).clickMenuItem(R.id.action_timings))
        val dialog = assertNotNull(ShadowAlertDialog.getLatestDialog())
        assertTrue(dialog.isShowing)
        screen.pause().stop().destroy()
        assertFalse(dialog.isShowing)
    }

    @Test
    fun `a lost or damaged small picture leaves the lines`() {
        val session = readSession()
        session.preview.writeBytes(ByteArray(9))
        val screen = start(ResultActivity.intent(app, session)).get()
        assertEquals(1, screen.findViewById<android.widget.ListView>(R.id.lines).adapter.count)
    }

    @Test
    fun `a photo that comes when the user has left opens nothing`() {
        val screen = Robolectric.buildActivity(CameraActivity::class.java).setup().get()
        screen.photo(ByteArray(9))
        shadowOf(android.os.Looper.getMainLooper()).idle()
        assertEquals(1, results(screen))
        screen.finish()
        screen.photo(ByteArray(9))
        shadowOf(android.os.Looper.getMainLooper()).idle()
        assertEquals(0, results(screen))
    }

    /** How many result screens [screen] has opened since the last call. */
    private fun results(screen: Activity): Int = generateSequence { shadowOf(screen).nextStartedActivity }
        .count { it.component?.className == ResultActivity::class.java.name }

    @Test
    fun `over the camera the system's bars have light icons in the light theme too`() {
        val lights = { screen: Activity ->
            TypedValue().also { screen.theme.resolveAttribute(android.R.attr.windowLightStatusBar, it, true) }.data != 0
        }
        assertTrue(lights(Robolectric.buildActivity(MainActivity::class.java).setup().get()))
        assertFalse(lights(Robolectric.buildActivity(CameraActivity::class.java).setup().get()))
    }
}

/** A screen from which nothing can be handed over any more. */
class FullActivity : Activity() {
    override fun startActivity(intent: Intent?): Unit = throw RuntimeException(TransactionTooLargeException("too long"))
}

/** A screen without anything on it. */
class PlainActivity : Activity()
