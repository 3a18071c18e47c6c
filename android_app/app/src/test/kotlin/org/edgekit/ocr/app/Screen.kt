package org.edgekit.ocr.app

import android.app.Activity
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.Canvas
import android.net.Uri
import android.os.Looper
import android.view.View
import android.view.ViewGroup
import android.widget.ImageButton
import android.widget.TextView
import java.io.ByteArrayInputStream
import java.io.File
import kotlin.test.assertTrue
import org.junit.Assume.assumeTrue
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf

/** Folder of the app's assets that the build of the tests was given, or null. */
val assetsFolder: File? = System.getProperty("edgekit.assets").orEmpty().takeIf { it.isNotEmpty() }?.let { File(it) }

/** Skips a test that reads real pictures where no bundle was given. */
fun needsBundle() = assumeTrue("no -Dedgekit.assets=DIR was given", assetsFolder != null)

/** Runs the main thread until [done] says so; fails after [seconds]. */
fun waitFor(what: String, seconds: Int = 120, done: () -> Boolean) {
    val end = System.nanoTime() + seconds * 1_000_000_000L
    while (!done()) {
        check(System.nanoTime() < end) { "waited $seconds s for $what" }
        Thread.sleep(10)
        shadowOf(Looper.getMainLooper()).idle()
    }
}

/** Returns an intent as another app sends it when the user shares the picture in [bytes]. */
fun shared(bytes: ByteArray): Intent {
    val uri = Uri.parse("content://pictures.example/1")
    val resolver = RuntimeEnvironment.getApplication().contentResolver
    shadowOf(resolver).registerInputStreamSupplier(uri) { ByteArrayInputStream(bytes) }
    return Intent(Intent.ACTION_SEND).setType("image/*").putExtra(Intent.EXTRA_STREAM, uri)
        .setClass(RuntimeEnvironment.getApplication(), ResultActivity::class.java)
}

/** Returns a regression image of the assets. */
fun regressionImage(name: String): ByteArray = File(assetsFolder, "selftest/$name").readBytes()

/** Returns what Python's engine read from a regression image. */
fun expectedOf(name: String): Expected =
    Expected.parse(File(assetsFolder, "selftest/expected.json").readText()).first { it.name == name }

fun Activity.text(id: Int): String = findViewById<TextView>(id).text.toString()

fun Activity.shows(id: Int): Boolean = findViewById<View>(id).visibility == View.VISIBLE

/** Draws the window and leaves a PNG of it among the screenshots. */
fun Activity.screenshot(name: String) {
    shadowOf(Looper.getMainLooper()).idle()
    val view = window.decorView
    val bitmap = Bitmap.createBitmap(view.width, view.height, Bitmap.Config.ARGB_8888)
    view.draw(Canvas(bitmap))
    val folder = File(System.getProperty("edgekit.screenshots"))
    folder.mkdirs()
    File(folder, "$name.png").outputStream().use { bitmap.compress(Bitmap.CompressFormat.PNG, 100, it) }
}

/** No button on a screen is without words for who does not see it. */
fun everyControlHasWords(view: View) {
    if (view is ImageButton) assertTrue(!view.contentDescription.isNullOrBlank(), "a button without words: $view")
    if (view is ViewGroup) for (i in 0 until view.childCount) everyControlHasWords(view.getChildAt(i))
}

/** No line of text is cut in its height: what a fixed height does to large letters. */
fun nothingIsCut(view: View, where: String) {
    if (view is TextView && view.isShown && view.layout != null && view.maxLines > 100) {
        val room = view.height - view.compoundPaddingTop - view.compoundPaddingBottom
        assertTrue(view.layout.height <= room + 1, "$where: '${view.text}' needs ${view.layout.height} of $room")
    }
    if (view is ViewGroup && view !is android.widget.AdapterView<*>) {
        for (i in 0 until view.childCount) nothingIsCut(view.getChildAt(i), where)
    }
}
