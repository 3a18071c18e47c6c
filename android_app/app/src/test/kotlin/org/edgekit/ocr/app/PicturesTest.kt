package org.edgekit.ocr.app

import android.content.ClipData
import android.content.DialogInterface
import android.content.Intent
import android.graphics.Rect
import android.net.Uri
import android.os.Bundle
import android.provider.MediaStore
import android.view.View
import android.widget.ListView
import java.io.ByteArrayInputStream
import java.io.File
import java.util.concurrent.TimeUnit
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import kotlin.test.assertTrue
import org.edgekit.ocr.OcrLine
import org.edgekit.ocr.OcrResult
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import org.robolectric.shadows.ShadowAlertDialog

/** Several pictures at once, the list of those that were read, and their end. */
@RunWith(RobolectricTestRunner::class)
class PicturesTest {
    private val app get() = RuntimeEnvironment.getApplication() as OcrApplication
    private val names = listOf("tiny.png", "empty.png", "street_sign.png")

    private fun start(intent: Intent, state: Bundle? = null): ActivityController<PicturesActivity> {
        val screen = Robolectric.buildActivity(PicturesActivity::class.java, intent)
        return if (state == null) screen.setup() else screen.setup(state)
    }

    private fun addresses(): List<Uri> = names.mapIndexed { i, name ->
        val address = Uri.parse("content://pictures.example/$i")
        shadowOf(app.contentResolver).registerInputStreamSupplier(address) { ByteArrayInputStream(regressionImage(name)) }
        address
    }

    private fun sentTogether(): Intent = Intent(Intent.ACTION_SEND_MULTIPLE).setType("image/*")
        .putParcelableArrayListExtra(Intent.EXTRA_STREAM, ArrayList(addresses()))

    /** A picture that was read, without a model. */
    private fun kept(text: String?): Session {
        val lines = text?.let { listOf(OcrLine(intArrayOf(0, 0, 9, 0, 9, 5, 0, 5), 0.9, it, 0.9)) }.orEmpty()
        return app.sessions.create().also {
            it.import(ByteArray(9).inputStream())
            it.keep(Reading(OcrResult(lines, mapOf("total" to 0.1), 10, 10), ENGINE_OPENCV, 10, 10))
        }
    }

    /** What the rows say after the screen has looked again: on the host, time passes only when a test moves the clock. */
    private fun rows(screen: PicturesActivity): List<String> {
        shadowOf(android.os.Looper.getMainLooper()).idleFor(1, TimeUnit.SECONDS)
        val list = screen.findViewById<ListView>(R.id.pictures)
        return (0 until list.adapter.count).map { i ->
            val row = list.adapter.getView(i, null, list)
            row.findViewById<android.widget.TextView>(R.id.picture_text).text.toString()
        }
    }

    private fun answer(button: Int) {
        val dialog = assertNotNull(ShadowAlertDialog.getLatestAlertDialog())
        dialog.getButton(button).performClick()
        shadowOf(android.os.Looper.getMainLooper()).idle()
    }

    @Test
    fun `pictures that are shared together are read one after the other and all can be opened`() {
        needsBundle()
        val screen = start(sentTogether())
        waitFor("all of them") { app.sessions.all().count { it.isRead } == names.size }
        val texts = names.map { name -> expectedOf(name).texts.joinToString(" ").ifEmpty { app.getString(R.string.pictures_no_text) } }
        waitFor("their texts") { rows(screen.get()) == texts }
        val list = screen.get().findViewById<ListView>(R.id.pictures)
        list.performItemClick(null, 2, 2L)
        val opened = shadowOf(screen.get()).nextStartedActivity
        assertEquals(ResultActivity::class.java.name, opened.component?.className)
        val result = Robolectric.buildActivity(ResultActivity::class.java, opened).setup().get()
        waitFor("the text") { !result.shows(R.id.progress) }
        assertEquals(expectedOf("street_sign.png").texts.size, result.findViewById<ListView>(R.id.lines).adapter.count)
    }

    @Test
    fun `a screen that is made anew reads no picture twice`() {
        needsBundle()
        val screen = start(sentTogether())
        screen.recreate()
        val state = Bundle()
        screen.saveInstanceState(state).pause().stop().destroy()
        val again = start(sentTogether(), state).get()
        waitFor("all of them") { app.sessions.all().count { it.isRead } == names.size }
        waitFor("their rows") { rows(again).size == names.size }
        assertEquals(names.size, app.sessions.all().size)
    }

    @Test
    fun `going back from a picture of the list does not end its reading`() {
        needsBundle()
        val screen = start(sentTogether()).get()
        val session = app.sessions.all(app.sessions.all().map { it.id }.toSet()).firstOrNull() ?: app.sessions.all().first()
        val result = Robolectric.buildActivity(ResultActivity::class.java, ResultActivity.intent(screen, session, fromList = true)).setup()
        result.get().finish()
        result.pause().stop().destroy()
        waitFor("all of them") { app.sessions.all().count { it.isRead } == names.size }
    }

    @Test
    fun `more pictures than are kept are not taken, and the screen says so`() {
        val many = List(SessionStore.MOST + 5) { Uri.parse("content://gone.example/$it") }
        val screen = start(SharedPictures.share(app, PicturesActivity::class.java, many)).get()
        assertTrue(screen.shows(R.id.pictures_note))
        assertEquals(app.getString(R.string.pictures_too_many, SessionStore.MOST), screen.text(R.id.pictures_note))
    }

    @Test
    fun `another app may share what are no addresses of pictures`() {
        val intents = listOf(
            Intent(Intent.ACTION_SEND_MULTIPLE).putExtra(Intent.EXTRA_STREAM, "a text"),
            Intent(Intent.ACTION_SEND_MULTIPLE).putParcelableArrayListExtra(Intent.EXTRA_STREAM, arrayListOf(Rect(1, 2, 3, 4))),
            Intent(Intent.ACTION_SEND_MULTIPLE),
        )
        for (intent in intents) {
            val screen = start(intent).get()
            waitFor("the empty list") { screen.shows(R.id.pictures_none) }
            assertEquals(0, rows(screen).size)
        }
        val file = Uri.parse("file:///data/data/org.edgekit.ocr/files/secret.png")
        val screen = start(SharedPictures.share(app, PicturesActivity::class.java, listOf(file))).get()
        waitFor("the fault") { rows(screen) == listOf(app.getString(R.string.error_open)) }
    }

    @Test
    fun `one picture can be deleted with its text`() {
        val (stays, goes) = kept("stays") to kept("goes")
        val screen = Robolectric.buildActivity(ResultActivity::class.java, ResultActivity.intent(app, goes)).setup().get()
        waitFor("the text") { !screen.shows(R.id.progress) }
        assertTrue(shadowOf(screen).clickMenuItem(R.id.action_delete))
        answer(DialogInterface.BUTTON_NEGATIVE)
        assertEquals(2, app.sessions.all().size)
        assertFalse(screen.isFinishing)
        assertTrue(shadowOf(screen).clickMenuItem(R.id.action_delete))
        answer(DialogInterface.BUTTON_POSITIVE)
        assertTrue(screen.isFinishing)
        assertEquals(listOf(stays.id), app.sessions.all().map { it.id })
        assertNull(app.sessions.find(goes.id))
        waitFor("its files' end") { File(app.filesDir, "sessions").list().orEmpty().toList() == listOf(stays.id) }
    }

    @Test
    fun `all pictures can be deleted at once`() {
        repeat(3) { kept("text $it") }
        val screen = start(Intent()).get()
        waitFor("the rows") { rows(screen) == listOf("text 2", "text 1", "text 0") }
        assertTrue(shadowOf(screen).clickMenuItem(R.id.action_delete_all))
        answer(DialogInterface.BUTTON_POSITIVE)
        assertEquals(0, app.sessions.all().size)
        waitFor("the empty list") { screen.shows(R.id.pictures_none) }
        waitFor("the files' end") { File(app.filesDir, "sessions").list().orEmpty().isEmpty() }
        val menu = screen.findViewById<android.widget.Toolbar>(R.id.toolbar).menu
        waitFor("nothing to delete") { menu.findItem(R.id.action_delete_all)?.isVisible != true }
    }

    @Test
    fun `a picture that is being read can be deleted`() {
        needsBundle()
        val screen = Robolectric.buildActivity(ResultActivity::class.java, shared(regressionImage("dense_small.png"))).setup().get()
        waitFor("the picture") { app.sessions.all().isNotEmpty() }
        assertTrue(shadowOf(screen).clickMenuItem(R.id.action_delete))
        answer(DialogInterface.BUTTON_POSITIVE)
        waitFor("its files' end") { File(app.filesDir, "sessions").list().orEmpty().isEmpty() }
    }

    @Test
    fun `one or several pictures come from the picker`() {
        val screen = Robolectric.buildActivity(MainActivity::class.java).setup().get()
        val several = ClipData.newRawUri(null, Uri.parse("content://a/1")).apply { addItem(ClipData.Item(Uri.parse("content://a/2"))) }
        val answers = listOf(
            Intent().setData(Uri.parse("content://a/1")) to ResultActivity::class.java,
            Intent().apply { clipData = several } to PicturesActivity::class.java,
        )
        for ((answer, next) in answers) {
            screen.findViewById<View>(R.id.pick).performClick()
            val asked = shadowOf(screen).nextStartedActivityForResult
            assertEquals(SessionStore.MOST, asked.intent.getIntExtra(MediaStore.EXTRA_PICK_IMAGES_MAX, 0))
            shadowOf(screen).receiveResult(asked.intent, android.app.Activity.RESULT_OK, answer)
            assertEquals(next.name, shadowOf(screen).nextStartedActivity.component?.className)
        }
        assertEquals(2, SharedPictures.several(PicturesActivity.intent(screen, SharedPictures.picked(answers[1].first))).size)
    }
}
