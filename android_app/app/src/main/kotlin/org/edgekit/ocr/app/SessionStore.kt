package org.edgekit.ocr.app

import java.io.File
import java.io.FileOutputStream
import java.io.IOException
import java.io.InputStream

/** A picture on its way: the file as it came, a smaller one to show, and what was read. */
class Session(private val folder: File) {
    val id: String get() = folder.name
    val source = File(folder, "source")
    val preview = File(folder, "preview")
    private val readingFile = File(folder, "reading.json")

    /** What was read, or null when it was not read yet or the file is damaged. */
    val reading: Reading?
        get() = try {
            if (readingFile.isFile) Reading.parse(readingFile.readText()) else null
        } catch (error: IOException) {
            null
        } catch (error: org.edgekit.ocr.OcrException) {
            null
        }

    /** Keeps [reading]; throws [IOException] when the storage is full. */
    fun keep(reading: Reading) = replace(readingFile, reading.toJson().toByteArray())

    /** Forgets what was read, so that the picture is read again. */
    fun forget() {
        readingFile.delete()
    }

    /** Copies a picture into this session; throws [IOException] when it is larger than [limit] bytes. */
    fun import(stream: InputStream, limit: Long = MAX_FILE) {
        val scratch = File.createTempFile("part", null, folder)
        try {
            FileOutputStream(scratch).use { copy(stream, it, limit) }
            if (!scratch.renameTo(source)) throw IOException("cannot rename to $source")
        } finally {
            scratch.delete()
        }
    }

    private fun copy(from: InputStream, to: FileOutputStream, limit: Long) {
        val buffer = ByteArray(1 shl 16)
        var total = 0L
        while (true) {
            val count = try {
                from.read(buffer)
            } catch (error: IOException) {
                throw PictureGone("the picture broke off: ${error.message}", error)
            }
            if (count < 0) return
            total += count
            if (total > limit) throw PictureTooLarge("the file is larger than ${limit shr 20} MiB")
            to.write(buffer, 0, count)
        }
    }

    private companion object {
        /** No camera writes a larger file; a stream without end must not fill the storage. */
        const val MAX_FILE = 256L shl 20
    }
}

/** A picture that this device cannot hold. */
class PictureTooLarge(message: String) : IOException(message)

/** A picture that its owner stopped giving. */
class PictureGone(message: String, cause: IOException) : IOException(message, cause)

/** The last few pictures and their results, on disk, so that they outlive the process. */
class SessionStore(private val root: File) {
    /** Returns a new session and drops the oldest beyond [KEPT]; throws [IOException] when the storage is full. */
    @Synchronized
    fun create(): Session {
        val last = folders().lastOrNull()?.name?.toLongOrNull() ?: 0L
        val folder = File(root, (last + 1).toString().padStart(12, '0'))
        if (!folder.mkdirs()) throw IOException("cannot make $folder")
        for (old in folders().dropLast(KEPT)) old.deleteRecursively()
        return Session(folder)
    }

    /** Returns the session called [id], or null when it is gone or [id] is none that this store gave. */
    fun find(id: String): Session? = folders().firstOrNull { it.name == id }?.let { Session(it) }

    /** Returns the newest session that was read, or null. */
    fun lastRead(): Session? = folders().map { Session(it) }.lastOrNull { it.reading != null }

    private fun folders(): List<File> =
        root.listFiles().orEmpty().filter { it.isDirectory && it.name.all(Char::isDigit) }.sortedBy { it.name }

    private companion object {
        const val KEPT = 5
    }
}
