package org.edgekit.ocr.app

import android.app.Activity
import android.content.ClipboardManager
import android.content.Intent
import android.net.Uri
import android.os.Bundle
import android.provider.MediaStore
import android.view.View
import android.widget.ListView
import java.io.FileNotFoundException
import java.nio.ByteBuffer
import java.util.zip.CRC32
import kotlin.test.Test
import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import kotlin.test.assertTrue
import org.junit.Before
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController

/** The app itself, with real models and Android's own views and drawing. */
@RunWith(RobolectricTestRunner::class)
class AppTest {
    private val app get() = RuntimeEnvironment.getApplication() as OcrApplication

    @Before
    fun bundle() = needsBundle()

    private fun start(intent: Intent): ActivityController<ResultActivity> =
        Robolectric.buildActivity(ResultActivity::class.java, intent).setup()

    private fun read(name: String): ActivityController<ResultActivity> {
        val screen = start(shared(regressionImage(name)))
        waitFor("the text of $name") { !screen.get().shows(R.id.progress) }
        return screen
    }

    private fun lines(screen: ResultActivity): List<String> {
        val list = screen.findViewById<ListView>(R.id.lines)
        return (0 until (list.adapter?.count ?: 0)).map { (list.adapter.getItem(it) as org.edgekit.ocr.OcrLine).text }
    }

    @Test
    fun `the first screen says which engine runs and leads on`() {
        val screen = Robolectric.buildActivity(MainActivity::class.java).setup().get()
        waitFor("the engine") { "OpenCV" in screen.text(R.id.engine) }
        assertFalse(screen.shows(R.id.problem), screen.text(R.id.problem))
        assertFalse(screen.shows(R.id.notice))
        screen.findViewById<View>(R.id.pick).performClick()
        val picker = shadowOf(screen).nextStartedActivityForResult.intent
        assertEquals(MediaStore.ACTION_PICK_IMAGES, picker.action)
        assertEquals("image/*", picker.type)
        screen.findViewById<View>(R.id.live).performClick()
        assertEquals(CameraActivity::class.java.name, shadowOf(screen).nextStartedActivity.component?.className)
    }

    @Test
    fun `a shared picture gives the text and the boxes that Python reads`() {
        for (name in listOf("receipt.png", "photo.jpg", "alpha.png", "vertical.png", "tiny.png")) {
            val screen = read(name).get()
            val expected = expectedOf(name)
            assertEquals(expected.texts, lines(screen), name)
            val found = assertNotNull(app.sessions.all().first().reading).result.lines
            for (i in found.indices) {
                assertContentEquals(expected.boxes[i], found[i].polygon, name)
                assertEquals(expected.scores[i], found[i].score, 1e-4, name)
            }
            assertTrue("OpenCV" in screen.text(R.id.status))
        }
    }

    @Test
    fun `a tap on a line marks its box and a tap on a box its line`() {
        val screen = read("receipt.png").get()
        val list = screen.findViewById<ListView>(R.id.lines)
        list.performItemClick(list.getChildAt(1), 1, 1L)
        assertEquals(1, list.checkedItemPosition)
        val picture = screen.findViewById<PictureView>(R.id.picture)
        picture.onLine?.invoke(3)
        assertEquals(3, list.checkedItemPosition)
        val box = expectedOf("receipt.png").boxes[0]
        val reading = assertNotNull(app.sessions.all().first().reading).result
        val fit = PictureTransform().apply { fit(reading.width, reading.height, picture.width, picture.height) }
        val (x, y) = (box[0] + box[4]) / 2f * fit.scale + fit.shiftX to (box[1] + box[5]) / 2f * fit.scale + fit.shiftY
        waitFor("the picture") { picture.lineAt(x, y) == 0 }
        assertNull(picture.lineAt(-5f, -5f))
    }

    @Test
    fun `turning the screen keeps the result without reading again`() {
        val screen = read("english.png")
        val before = lines(screen.get())
        screen.get().findViewById<PictureView>(R.id.picture).onLine?.invoke(2)
        RuntimeEnvironment.setQualifiers("+w891dp-h411dp-land")
        screen.recreate()
        assertEquals(before, lines(screen.get()))
        assertEquals(2, screen.get().findViewById<ListView>(R.id.lines).checkedItemPosition)
        assertFalse(screen.get().shows(R.id.progress))
    }

    @Test
    fun `the result outlives the process`() {
        val screen = read("street_sign.png")
        val state = Bundle()
        screen.saveInstanceState(state).pause().stop().destroy()
        // A new process has no job: what it shows comes from the storage, the sharer's grant is gone.
        val again = Robolectric.buildActivity(ResultActivity::class.java, Intent()).setup(state)
        assertEquals(expectedOf("street_sign.png").texts, lines(again.get()))
        val main = Robolectric.buildActivity(MainActivity::class.java).setup().get()
        waitFor("the way back to it") { main.shows(R.id.pictures) }
    }

    @Test
    fun `text can be copied, line by line too, and shared as text`() {
        val screen = read("street_sign.png").get()
        val texts = expectedOf("street_sign.png").texts
        val clip = { screen.getSystemService(ClipboardManager::class.java).primaryClip?.getItemAt(0)?.text.toString() }
        assertTrue(shadowOf(screen).clickMenuItem(R.id.action_copy))
        assertEquals(texts.joinToString("\n"), clip())
        val list = screen.findViewById<ListView>(R.id.lines)
        val row = list.adapter.getView(1, null, list)
        assertTrue(texts[1] in row.findViewById<View>(R.id.copy).contentDescription)
        row.findViewById<View>(R.id.copy).performClick()
        assertEquals(texts[1], clip())
        assertTrue(shadowOf(screen).clickMenuItem(R.id.action_share_text))
        val sent = sent(screen)
        assertEquals(texts.joinToString("\n"), sent.getStringExtra(Intent.EXTRA_TEXT))
        assertEquals("text/plain", sent.type)
    }

    @Test
    fun `JSON is shared as a file that the other app may read, and only read`() {
        val screen = read("street_sign.png").get()
        assertTrue(shadowOf(screen).clickMenuItem(R.id.action_share_json))
        waitFor("the file") { shadowOf(screen).peekNextStartedActivity() != null }
        val sent = sent(screen)
        @Suppress("DEPRECATION")
        val address = assertNotNull(sent.getParcelableExtra<Uri>(Intent.EXTRA_STREAM))
        assertEquals("application/json", sent.type)
        assertEquals(address, sent.clipData?.getItemAt(0)?.uri)
        assertTrue(sent.flags and Intent.FLAG_GRANT_READ_URI_PERMISSION != 0)
        val given = app.contentResolver.openInputStream(address).use { String(assertNotNull(it).readBytes()) }
        assertEquals(assertNotNull(app.sessions.all().first().reading).result.toJson(), given)
        assertEquals("application/json", app.contentResolver.getType(address))
        app.contentResolver.query(address, null, null, null, null).use { rows ->
            assertTrue(assertNotNull(rows).moveToFirst())
            assertEquals(given.toByteArray().size.toLong(), rows.getLong(1))
        }
        val provider = Robolectric.buildContentProvider(ShareProvider::class.java).create().get()
        for (mode in listOf("w", "rw", "wt")) assertFailsWith<FileNotFoundException>(mode) { provider.openFile(address, mode) }
        for (other in listOf("..", "settings.xml", "../sessions")) {
            assertFailsWith<FileNotFoundException>(other) { provider.openFile(ShareProvider.address(app, other), "r") }
        }
        assertFailsWith<UnsupportedOperationException> { provider.delete(address, null, null) }
    }

    private fun sent(screen: Activity): Intent {
        val chooser = shadowOf(screen).nextStartedActivity
        @Suppress("DEPRECATION")
        return assertNotNull(chooser.getParcelableExtra<Intent>(Intent.EXTRA_INTENT))
    }

    @Test
    fun `a picture without text says so and offers nothing to copy`() {
        val screen = read("empty.png").get()
        assertEquals(0, lines(screen).size)
        assertTrue(screen.getString(R.string.result_none, "", "").substringBefore(" in") in screen.text(R.id.status))
        val menu = screen.findViewById<android.widget.Toolbar>(R.id.toolbar).menu
        assertFalse(menu.findItem(R.id.action_copy).isVisible)
        assertTrue(menu.findItem(R.id.action_share_json).isVisible)
    }

    @Test
    fun `what is no picture gives a message and never a crash`() {
        val png = regressionImage("receipt.png")
        val bad = mapOf(
            "empty" to ByteArray(0),
            "text" to "not a picture".toByteArray(),
            "cut off" to png.copyOf(30),
            "huge" to hugePng(60_000, 60_000),
        )
        for ((name, bytes) in bad) {
            val screen = start(shared(bytes))
            waitFor(name) { !screen.get().shows(R.id.progress) }
            assertTrue(screen.get().shows(R.id.status), name)
            val sentence = if (name == "huge") R.string.error_image_huge else R.string.error_image
            assertTrue(screen.get().getString(sentence) in screen.get().text(R.id.status), screen.get().text(R.id.status))
        }
    }

    @Test
    fun `a picture that was taken back or is a file gives a message`() {
        for (uri in listOf(goneUri(), Uri.parse("file:///data/data/org.edgekit.ocr/files/secret.png"))) {
            val intent = Intent(Intent.ACTION_SEND).putExtra(Intent.EXTRA_STREAM, uri)
            val screen = start(intent)
            waitFor("$uri") { !screen.get().shows(R.id.progress) }
            assertTrue(screen.get().getString(R.string.error_open) in screen.get().text(R.id.status), "$uri")
        }
    }

    private fun goneUri(): Uri {
        val uri = Uri.parse("content://gone.example/1")
        shadowOf(app.contentResolver).registerInputStreamSupplier(uri) { throw FileNotFoundException("gone") }
        return uri
    }

    @Test
    fun `reading can be cancelled and taken up again`() {
        val screen = start(shared(regressionImage("dense_small.png")))
        screen.get().findViewById<View>(R.id.cancel).performClick()
        waitFor("the end") { !screen.get().shows(R.id.progress) }
        assertEquals(screen.get().getString(R.string.result_cancelled), screen.get().text(R.id.status))
        if (!screen.get().shows(R.id.again)) return
        screen.get().findViewById<View>(R.id.again).performClick()
        waitFor("the text") { !screen.get().shows(R.id.progress) }
        assertEquals(expectedOf("dense_small.png").texts, lines(screen.get()))
    }

    @Test
    fun `a smaller longest side holds from the next picture on`() {
        app.settings.save(app.settings.load(app.bundle).copy(limitSideLen = 480, threads = 2))
        val small = lines(read("large.png").get())
        app.settings.reset()
        assertEquals(expectedOf("large.png").texts, lines(read("large.png").get()))
        assertTrue(small != expectedOf("large.png").texts)
    }
}

/** Returns a PNG whose header claims [width] x [height] pixels, of which it holds none. */
fun hugePng(width: Int, height: Int): ByteArray {
    val header = ByteBuffer.allocate(17).put("IHDR".toByteArray()).putInt(width).putInt(height)
        .put(byteArrayOf(8, 2, 0, 0, 0)).array()
    val sum = CRC32().apply { update(header) }.value.toInt()
    val data = byteArrayOf(0, 0, 0, 4, 73, 68, 65, 84, 120, -38, 0, 0, 0, 0, 0, 0)
    return ByteBuffer.allocate(8 + 4 + 17 + 4 + data.size)
        .put(byteArrayOf(-119, 80, 78, 71, 13, 10, 26, 10)).putInt(13).put(header).putInt(sum).put(data).array()
}
