package org.edgekit.ocr.app

import java.io.File
import java.io.IOException

/** Files that other apps may read once the user shares them, in a [folder] of their own. */
class SharedFiles(private val folder: File) {
    /** Keeps [data] as [name], in place of what has the name; throws [IOException] when the storage is full. */
    fun put(name: String, data: ByteArray) {
        if (!NAME.matches(name)) throw IOException("no name of a shared file: $name")
        // Who took an older one has had time to read it.
        val old = folder.listFiles().orEmpty().filter { it.lastModified() < System.currentTimeMillis() - HOUR }
        for (file in old) file.delete()
        replace(File(folder, name), data)
    }

    /** Returns the file called [name], or null when there is none: no other file of the app has such an address. */
    fun find(name: String?): File? =
        name?.takeIf { NAME.matches(it) }?.let { File(folder, it) }?.takeIf { it.isFile }

    private companion object {
        val NAME = Regex("[A-Za-z0-9_-]{1,64}\\.json")
        const val HOUR = 3_600_000L
    }
}
