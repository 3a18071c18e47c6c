package org.edgekit.ocr.app

import android.app.Activity
import android.content.ClipData
import android.content.ClipboardManager
import android.content.Intent
import android.os.Build
import android.os.TransactionTooLargeException
import android.widget.Toast

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

/** Offers [text] to the apps that take [type]; [title] is a string resource. */
fun Activity.share(type: String, text: String, title: Int) {
    val send = Intent(Intent.ACTION_SEND).setType(type).putExtra(Intent.EXTRA_TEXT, text)
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
