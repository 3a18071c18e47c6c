package org.edgekit.ocr.app

import android.app.ActivityManager
import android.app.ApplicationExitInfo
import android.content.ComponentCallbacks2
import android.view.View
import android.widget.Spinner
import java.io.File
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertNotEquals
import kotlin.test.assertNotNull
import kotlin.test.assertTrue
import org.edgekit.ocr.EngineException
import org.edgekit.ocr.ImageException
import org.junit.Before
import org.junit.runner.RunWith
import org.opencv.core.CvException
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.shadows.ShadowActivityManager

/** When models are loaded and released, on which thread they run, and what happens where Paddle Lite ends the app. */
@RunWith(RobolectricTestRunner::class)
@Config(application = LiteApplication::class)
class ReaderTest {
    private val app get() = RuntimeEnvironment.getApplication() as LiteApplication
    private val marker get() = File(app.noBackupFilesDir, "paddle_lite_runs")

    @Before
    fun bundle() = needsBundle()

    private fun read(picture: String): ReadJob {
        val session = app.sessions.create().also { it.import(regressionImage(picture).inputStream()) }
        val job = app.reader.start(session, null)
        waitFor(picture) { job.state.ended }
        return job
    }

    private fun threadOfReading(): Long {
        val ids = LinkedBlockingQueue<Long>()
        app.reader.submit { ids.add(Thread.currentThread().id) }
        return assertNotNull(ids.poll(20, TimeUnit.SECONDS))
    }

    @Test
    fun `memory that lacks in the middle of a picture lets the models go, whatever wraps it`() {
        val faults = listOf(
            OutOfMemoryError("Java's"),
            ImageException("of the pipeline", null, OutOfMemoryError()),
            EngineException("of an engine", null, CvException("error: (-4:Insufficient memory) Failed to allocate")),
        )
        for (fault in faults) {
            app.lite.closed.clear()
            app.lite.onRun = { _, size -> if (size > SMALL) throw fault }
            val state = read("large.png").state
            assertTrue(Messages.lacksMemory((state as JobState.Failed).cause), "$state")
            assertEquals(listOf("det", "rec"), app.lite.closed, "$fault")
            assertFalse(app.reader.isOpen)
        }
        app.lite.onRun = { _, size -> if (size > SMALL) throw EngineException("something else") }
        assertTrue(read("large.png").state is JobState.Failed)
        assertTrue(app.reader.isOpen, "any other fault leaves the models")
        app.lite.onRun = { _, _ -> }
        assertTrue(read("large.png").state is JobState.Done)
    }

    @Test
    fun `memory that lacks while models are loaded leaves none of them`() {
        app.lite.onRun = { role, _ -> if (role == "rec") throw OutOfMemoryError() }
        assertTrue(read("tiny.png").state is JobState.Failed)
        assertEquals(listOf("det", "rec"), app.lite.closed)
        assertFalse(app.reader.isOpen)
    }

    @Test
    fun `settings that bind threads to other cores get a thread of their own`() {
        val built = app.settings.load(app.bundle)
        assertEquals(ENGINE_PADDLE_LITE, built.engine)
        val first = threadOfReading()
        app.settings.save(built.copy(limitSideLen = 640))
        assertEquals(first, threadOfReading(), "the side binds nothing")
        val seen = arrayListOf(first)
        val changes = listOf(
            built.copy(powerMode = "LITE_POWER_NO_BIND"),
            built.copy(threads = built.threads + 1),
            built.copy(engine = ENGINE_OPENCV),
        )
        for (next in changes) {
            app.settings.save(next)
            assertFalse(threadOfReading() in seen, "$next")
            seen.add(threadOfReading())
        }
        app.settings.save(built.copy(engine = ENGINE_OPENCV, threads = 1))
        assertEquals(seen.last(), threadOfReading(), "OpenCV binds nothing")
    }

    @Test
    fun `a self-test runs on a thread that nothing else has`() {
        val before = threadOfReading()
        val ids = LinkedBlockingQueue<Long>()
        app.reader.alone { ids.add(Thread.currentThread().id) }
        val alone = assertNotNull(ids.poll(20, TimeUnit.SECONDS))
        assertNotEquals(before, alone)
        assertNotEquals(alone, threadOfReading())
    }

    @Test
    fun `the first screen loads the models and runs them before any picture`() {
        val runs = LinkedBlockingQueue<String>()
        app.lite.onRun = { role, _ -> runs.add(role) }
        Robolectric.buildActivity(MainActivity::class.java).setup()
        waitFor("the models") { app.reader.isOpen }
        assertEquals(setOf("det", "rec"), runs.toSet())
        assertEquals(2, app.lite.opened.size)
        read("tiny.png")
        assertEquals(2, app.lite.opened.size, "the picture found them open")
    }

    @Test
    fun `the picture is shown while it is read, and how many lines of how many`() {
        val (reached, go) = LinkedBlockingQueue<Int>() to LinkedBlockingQueue<Int>()
        app.lite.onRun = { _, size ->
            if (size > SMALL) {
                reached.add(size)
                go.poll(60, TimeUnit.SECONDS)
            }
        }
        val screen = Robolectric.buildActivity(ResultActivity::class.java, shared(regressionImage("large.png"))).setup().get()
        waitFor("the detector") { reached.isNotEmpty() }
        val picture = screen.findViewById<PictureView>(R.id.picture)
        waitFor("the picture") { picture.isShowing }
        assertTrue(screen.shows(R.id.progress))
        val job = assertNotNull(app.reader.jobOf(app.sessions.all().first().id))
        job.found(12)
        repeat(3) { job.recognised() }
        val count = app.resources.getQuantityString(R.plurals.result_reading_lines, 12, 3, 12)
        waitFor("the count") { screen.text(R.id.progress_text) == count }
        go.add(1)
        waitFor("the end") { !screen.shows(R.id.progress) }
    }

    @Test
    fun `models are not loaded ahead where memory is short`() {
        val info = ActivityManager.MemoryInfo().apply { lowMemory = true }
        shadowOf(app.getSystemService(ActivityManager::class.java)).setMemoryInfo(info)
        app.reader.warmUp()
        threadOfReading()
        assertEquals(emptyList(), app.lite.opened.toList())
    }

    @Test
    fun `memory that becomes short ends the loading ahead at its next step`() {
        app.lite.onRun = { role, _ -> if (role == "det") app.onTrimMemory(ComponentCallbacks2.TRIM_MEMORY_RUNNING_LOW) }
        app.reader.warmUp()
        threadOfReading()
        assertFalse(app.reader.isOpen)
        assertEquals(listOf("det", "rec"), app.lite.closed)
        assertTrue(read("tiny.png").state is JobState.Done, "a picture loads them")
    }

    @Test
    fun `the marker is set while Paddle Lite loads and first runs, and only then`() {
        val seen = ArrayList<Boolean>()
        app.lite.onRun = { _, size -> if (size <= SMALL) seen.add(marker.exists()) else seen.add(!marker.exists()) }
        assertTrue(read("large.png").state is JobState.Done)
        assertTrue(seen.size >= 3 && seen.all { it }, "$seen")
        assertFalse(marker.exists())
        app.reader.letGo()
        app.lite.onRun = { _, _ -> throw EngineException("the runtime failed, and said so") }
        assertTrue(read("large.png").state is JobState.Failed)
        assertFalse(marker.exists(), "what is thrown is no crash")
    }

    /** What the next process finds after Paddle Lite ended one: the marker. */
    private fun endedBy(reason: Int) {
        marker.parentFile?.mkdirs()
        marker.writeText("4711")
        val exit = ShadowActivityManager.ApplicationExitInfoBuilder.newBuilder()
            .setProcessName(app.packageName).setPid(4711).setReason(reason).build()
        shadowOf(app.getSystemService(ActivityManager::class.java)).addApplicationExitInfo(exit)
        app.onCreate()
    }

    @Test
    fun `after Paddle Lite ended the app OpenCV reads, with a notice that can be answered`() {
        endedBy(ApplicationExitInfo.REASON_CRASH_NATIVE)
        assertFalse(marker.exists())
        assertEquals(ENGINE_OPENCV, app.settings.load(app.bundle).engine)
        val screen = Robolectric.buildActivity(MainActivity::class.java).setup()
        assertTrue(screen.get().shows(R.id.notice))
        waitFor("the engine") { screen.get().text(R.id.engine).startsWith(app.getString(R.string.main_engine, "OpenCV", "fp32")) }
        screen.get().findViewById<View>(R.id.notice_dismiss).performClick()
        assertFalse(screen.get().shows(R.id.notice))
        assertEquals(ENGINE_OPENCV, app.settings.load(app.bundle).engine, "read and put away, not undone")
        app.settings.save(app.settings.load(app.bundle).copy(threads = 1))
        assertEquals(ENGINE_OPENCV, app.settings.load(app.bundle).engine)
        endedBy(ApplicationExitInfo.REASON_CRASH_NATIVE)
        val again = Robolectric.buildActivity(MainActivity::class.java).setup().get()
        again.findViewById<View>(R.id.notice_retry).performClick()
        assertFalse(again.shows(R.id.notice))
        assertEquals(ENGINE_PADDLE_LITE, app.settings.load(app.bundle).engine)
    }

    @Test
    fun `Paddle Lite that the user chooses, or installs anew, runs again`() {
        app.settings.fallBack()
        val screen = Robolectric.buildActivity(SettingsActivity::class.java).setup().get()
        assertTrue(screen.shows(R.id.power_note))
        screen.findViewById<Spinner>(R.id.engine).setSelection(0)
        waitFor("the choice") { app.settings.load(app.bundle).engine == ENGINE_PADDLE_LITE }
        app.settings.fallBack()
        assertEquals(ENGINE_OPENCV, app.settings.load(app.bundle).engine)
        assertEquals(ENGINE_PADDLE_LITE, SettingsStore(app, install = 77).load(app.bundle).engine)
    }

    @Test
    fun `an app that was ended from outside while Paddle Lite loaded does not blame it`() {
        endedBy(ApplicationExitInfo.REASON_USER_REQUESTED)
        assertEquals(ENGINE_PADDLE_LITE, app.settings.load(app.bundle).engine)
        assertFalse(marker.exists())
    }

    @Test
    fun `a self-test that OpenCV took over says so in its report`() {
        app.settings.fallBack()
        val report = SelfTest(app, SelfTestOptions.VERIFY_ONLY.copy(bench = true, rounds = 1), Silent, Silent).run()
        assertEquals(1, report.errors.size, report.errors.toString())
        assertTrue("paddle_lite ended the app" in report.errors[0])
        val asked = SelfTestOptions.VERIFY_ONLY.copy(engine = ENGINE_OPENCV, bench = true, rounds = 1)
        assertEquals(emptyList<String>(), SelfTest(app, asked, Silent, Silent).run().errors)
    }

    private companion object {
        /** Values of the largest input that a model runs on after it was loaded; that of a picture is larger. */
        const val SMALL = 3 * 320 * 320
    }
}
