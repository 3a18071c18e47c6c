package org.edgekit.ocr.app

import android.content.ClipData
import android.content.ContentResolver
import android.content.Context
import android.content.Intent
import android.net.Uri
import java.io.FileNotFoundException
import java.io.InputStream

/** The pictures that an intent hands over; any app may send one. */
object SharedPictures {
    /** Returns the addresses that a picker's answer holds, in its order. */
    fun picked(answer: Intent): List<Uri> {
        val clip = answer.clipData ?: return listOfNotNull(answer.data)
        return (0 until clip.itemCount).mapNotNull { clip.getItemAt(it).uri }
    }

    /** Returns the one picture that [intent] shares or names, or null. */
    fun one(intent: Intent): Uri? =
        if (intent.action == Intent.ACTION_SEND) extra(intent, Intent.EXTRA_STREAM) as? Uri else intent.data

    /** Returns the several pictures that [intent] shares. */
    fun several(intent: Intent): List<Uri> =
        (extra(intent, Intent.EXTRA_STREAM) as? List<*>).orEmpty().filterIsInstance<Uri>()

    /** Returns an intent for [screen] that shares [addresses] as another app would. */
    fun share(context: Context, screen: Class<*>, addresses: List<Uri>): Intent {
        val intent = Intent(Intent.ACTION_SEND_MULTIPLE).setClass(context, screen)
            .putParcelableArrayListExtra(Intent.EXTRA_STREAM, ArrayList(addresses))
            .addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION)
        val clip = ClipData.newRawUri(null, addresses.first())
        for (address in addresses.drop(1)) clip.addItem(ClipData.Item(address))
        intent.clipData = clip
        return intent
    }

    /** Opens the picture at [address]; throws [FileNotFoundException] when there is none that may be opened. */
    fun open(resolver: ContentResolver, address: Uri?): InputStream {
        // Only content: a file path could name the app's own files.
        if (address == null) throw FileNotFoundException("no picture was given")
        if (address.scheme != ContentResolver.SCHEME_CONTENT) throw FileNotFoundException("no shared picture: $address")
        return resolver.openInputStream(address) ?: throw FileNotFoundException("$address")
    }

    /** Returns an extra of any type, null where it lacks or cannot be read. */
    fun extra(intent: Intent, name: String): Any? = try {
        @Suppress("DEPRECATION")
        intent.extras?.get(name)
    } catch (error: RuntimeException) {
        // Extras are unpacked all at once, those of classes that this app lacks too.
        null
    }
}
