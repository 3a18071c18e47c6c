package org.edgekit.ocr.app

import android.app.Activity
import java.util.concurrent.Executors

/** Files are read, decoded and deleted here, not on the main thread. */
class Background {
    private val thread = Executors.newSingleThreadExecutor { work -> Thread(work, "disk") }

    fun execute(work: () -> Unit) = thread.execute(work)
}

/** Runs [work] in the background and gives its result to [done] on the main thread, unless the screen is gone by then. */
fun <T> Activity.load(work: () -> T, done: (T) -> Unit) = ocr.disk.execute {
    val result = work()
    runOnUiThread { if (!isDestroyed) done(result) }
}
