package org.edgekit.ocr.app

import android.app.Activity
import android.content.ClipData
import android.content.ClipboardManager
import android.content.Intent
import android.os.Build
import android.os.TransactionTooLargeException
import android.widget.Toast
import java.io.IOException

/** Puts [text] on the clipboard; returns whether there was any. */
fun Activity.copy(text: String?): Boolean {
    if (text.isNullOrEmpty()) return false
    val clip = ClipData.newPlainText(getString(R.string.app_name), text)
    try {
        getSystemService(ClipboardManager::class.java).setPrimaryClip(clip)
    } catch (error: RuntimeException) {
        if (!tooLong(error)) throw error
        Toast.makeText(this, R.string.share_too_long, Toast.LENGTH_LONG).show()
        return true
    }
    // Since Android 13 the system itself says that something was copied.
    if (Build.VERSION.SDK_INT < Build.VERSION_CODES.TIRAMISU) {
        Toast.makeText(this, R.string.copied, Toast.LENGTH_SHORT).show()
    }
    return true
}

/** Offers [text] to the apps that take text; [title] is a string resource. */
fun Activity.share(text: String, title: Int) =
    offer(Intent(Intent.ACTION_SEND).setType("text/plain").putExtra(Intent.EXTRA_TEXT, text), title)

/**
 * Offers a JSON file called [name] to other apps; [data] gives its bytes, in the background. [failed] is called on the
 * main thread when they cannot be had or stored.
 */
fun Activity.shareFile(name: String, title: Int, failed: (IOException) -> Unit, data: () -> ByteArray) = load({
    try {
        ShareProvider.filesOf(this).put(name, data())
        null
    } catch (error: IOException) {
        error
    }
}) { error ->
    if (error == null) offer(sendFile(name), title) else failed(error)
}

private fun Activity.sendFile(name: String): Intent {
    val address = ShareProvider.address(this, name)
    val send = Intent(Intent.ACTION_SEND).setType(ShareProvider.TYPE).putExtra(Intent.EXTRA_STREAM, address)
    // The permission goes with the clip, and the chooser passes both on.
    send.clipData = ClipData.newRawUri(name, address)
    return send.addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION)
}

private fun Activity.offer(send: Intent, title: Int) {
    try {
        startActivity(Intent.createChooser(send, getString(title)))
    } catch (error: RuntimeException) {
        if (!tooLong(error)) throw error
        Toast.makeText(this, R.string.share_too_long, Toast.LENGTH_LONG).show()
    }
}

/** Whether [error] says that a text is longer than one app can hand to another: about a megabyte. */
private fun tooLong(error: Throwable): Boolean =
    error is TransactionTooLargeException || error.cause is TransactionTooLargeException
