package org.edgekit.ocr.app

import android.content.Intent
import android.graphics.BitmapFactory
import android.os.Bundle
import android.widget.ListView
import android.widget.Toolbar
import kotlin.test.Test
import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertNotNull
import kotlin.test.assertTrue
import org.edgekit.ocr.OcrLine
import org.junit.Before
import org.junit.runner.RunWith
import org.opencv.core.Core
import org.opencv.core.Mat
import org.opencv.core.MatOfByte
import org.opencv.imgcodecs.Imgcodecs
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController

/** A picture that came on its side, turned by the user. */
@RunWith(RobolectricTestRunner::class)
class TurningTest {
    private val app get() = RuntimeEnvironment.getApplication() as OcrApplication
    private val sign = "street_sign.png"

    @Before
    fun bundle() {
        needsBundle()
        app.loadOpenCv()
    }

    /** The picture as a camera with a locked display leaves it: a quarter too far. */
    private fun lying(): ByteArray {
        val turned = Mat()
        Core.rotate(decoded(regressionImage(sign)), turned, Core.ROTATE_90_COUNTERCLOCKWISE)
        return MatOfByte().also { Imgcodecs.imencode(".png", turned, it) }.toArray()
    }

    private fun decoded(file: ByteArray) = Imgcodecs.imdecode(MatOfByte(*file), Imgcodecs.IMREAD_COLOR)

    private fun start(intent: Intent): ActivityController<ResultActivity> =
        Robolectric.buildActivity(ResultActivity::class.java, intent).setup()

    private fun ActivityController<ResultActivity>.wait(): ActivityController<ResultActivity> {
        waitFor("the text") { !get().shows(R.id.progress) }
        return this
    }

    private fun ActivityController<ResultActivity>.turn() {
        assertTrue(get().findViewById<Toolbar>(R.id.toolbar).menu.findItem(R.id.action_turn).isVisible)
        assertTrue(shadowOf(get()).clickMenuItem(R.id.action_turn))
    }

    private fun lines(screen: ResultActivity): List<String> {
        val list = screen.findViewById<ListView>(R.id.lines)
        return (0 until (list.adapter?.count ?: 0)).map { (list.adapter.getItem(it) as OcrLine).text }
    }

    @Test
    fun `a picture on its side is read upright after one turn, and turned back after four`() {
        val file = lying()
        val upright = expectedOf(sign)
        val screen = start(shared(file)).wait()
        val before = lines(screen.get())
        assertTrue(before != upright.texts)
        screen.get().findViewById<PictureView>(R.id.picture).onLine?.invoke(0)
        screen.turn()
        screen.wait()
        assertEquals(upright.texts, lines(screen.get()))
        assertEquals(ListView.INVALID_POSITION, screen.get().findViewById<ListView>(R.id.lines).checkedItemPosition)
        val session = assertNotNull(app.sessions.all().firstOrNull())
        val reading = assertNotNull(session.reading)
        assertEquals(90, reading.degrees)
        assertFalse(reading.reduced)
        reading.result.lines.forEachIndexed { i, line -> assertContentEquals(upright.boxes[i], line.polygon) }
        val shown = BitmapFactory.decodeFile(session.preview.path)
        assertEquals(reading.result.width to reading.result.height, shown.width to shown.height)
        assertContentEquals(file, session.source.readBytes())
        repeat(3) { screen.turn() }
        screen.wait()
        assertEquals(before, lines(screen.get()))
    }

    @Test
    fun `the turn outlives rotation of the screen and the process`() {
        val screen = start(shared(lying())).wait()
        screen.turn()
        RuntimeEnvironment.setQualifiers("+w891dp-h411dp-land")
        screen.recreate().wait()
        assertEquals(expectedOf(sign).texts, lines(screen.get()))
        val state = Bundle()
        screen.saveInstanceState(state).pause().stop().destroy()
        val again = Robolectric.buildActivity(ResultActivity::class.java, Intent()).setup(state).wait()
        assertEquals(expectedOf(sign).texts, lines(again.get()))
    }

    @Test
    fun `a process that ends between the turn and the reading reads the turned picture`() {
        val first = start(shared(lying())).wait()
        val session = assertNotNull(app.sessions.all().firstOrNull())
        val stale = assertNotNull(session.reading)
        first.pause().stop().destroy()
        session.turn()
        // A reading from before the turn that was written late; a new process knows no job of it, as after another one.
        session.keep(stale)
        start(shared(regressionImage("tiny.png"))).wait().pause().stop().destroy()
        val again = start(ResultActivity.intent(app, session)).wait()
        assertEquals(expectedOf(sign).texts, lines(again.get()))
    }
}
