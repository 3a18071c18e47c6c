package org.edgekit.ocr.app

import java.io.File
import java.io.FileOutputStream
import java.io.IOException
import java.io.InputStream

/** A picture on its way: the file as it came, a smaller one to show, and what was read. */
class Session(internal val folder: File) {
    val id: String get() = folder.name
    val source = File(folder, "source")
    val preview = File(folder, "preview")

    /** The picture at the size of a list's row. */
    val thumb = File(folder, "thumb")
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

    /** Whether it was read; the file may still turn out to be damaged. */
    val isRead: Boolean get() = readingFile.isFile

    /** When the picture came or was last read, in milliseconds since 1970. */
    val changed: Long get() = listOf(readingFile, source, folder).first { it.exists() || it == folder }.lastModified()

    /** Keeps [reading]; throws [IOException] when the storage is full or the session was deleted. */
    fun keep(reading: Reading) = put(readingFile, reading.toJson().toByteArray())

    /** Writes one of this session's files; throws [IOException] when the storage is full or the session was deleted. */
    fun put(file: File, data: ByteArray) {
        if (!folder.isDirectory) throw IOException("the picture was deleted")
        replace(file, data)
    }

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
        const val MAX_FILE = 128L shl 20
    }
}

/** A picture that this device cannot hold. */
class PictureTooLarge(message: String) : IOException(message)

/** A picture that its owner stopped giving. */
class PictureGone(message: String, cause: IOException) : IOException(message, cause)

/**
 * The last few pictures and their results, on disk, so that they outlive the process: [most] of them, [mostBytes] at
 * most. The user can come back to each, and delete each.
 */
class SessionStore(private val root: File, private val most: Int = MOST, private val mostBytes: Long = MOST_BYTES) {
    private var latest = 0L

    /** Returns a new session; throws [IOException] when the storage is full. */
    @Synchronized
    fun create(): Session {
        val last = folders().lastOrNull()?.name?.toLongOrNull() ?: 0L
        // By the clock, so that no number comes again after its session was deleted, in the same millisecond either.
        val number = maxOf(last + 1, latest + 1, System.currentTimeMillis())
        latest = number
        val folder = File(root, number.toString().padStart(DIGITS, '0'))
        if (!folder.mkdirs()) throw IOException("cannot make $folder")
        return Session(folder)
    }

    /** Returns the session called [id], or null when it is gone or [id] is none that this store gave. */
    fun find(id: String): Session? = folders().firstOrNull { it.name == id }?.let { Session(it) }

    /** Returns the sessions that hold a picture, and those of [coming] ones, the newest first. */
    fun all(coming: Set<String> = emptySet()): List<Session> =
        folders().asReversed().map { Session(it) }.filter { it.id in coming || it.source.isFile || it.isRead }

    /**
     * Deletes what is beyond the store's bounds, the oldest first, but none of [busy] and never the newest; also
     * sessions whose picture never came.
     */
    @Synchronized
    fun prune(busy: Set<String>) {
        val kept = all(busy).map { it.id }.toSet()
        val longAgo = System.currentTimeMillis() - HOUR
        for (folder in folders()) if (folder.name !in kept && folder.lastModified() < longAgo) hide(Session(folder))
        var (count, bytes) = 0 to 0L
        for (session in all(busy)) {
            count += 1
            bytes += sizeOf(session.folder)
            if (count > 1 && (count > most || bytes > mostBytes) && session.id !in busy) hide(session)
        }
        sweep()
    }

    /** Takes [session] out of the store at once; [sweep] deletes its files. */
    @Synchronized
    fun hide(session: Session) {
        session.folder.renameTo(File(root, HIDDEN + session.id))
    }

    /** Deletes the files of hidden sessions, those too that an ended process left. */
    fun sweep() {
        for (folder in root.listFiles().orEmpty()) if (folder.name.startsWith(HIDDEN)) folder.deleteRecursively()
    }

    private fun sizeOf(folder: File): Long = folder.listFiles().orEmpty().sumOf { it.length() }

    private fun folders(): List<File> =
        root.listFiles().orEmpty().filter { it.isDirectory && it.name.all(Char::isDigit) }.sortedBy { it.name }

    companion object {
        /** So many pictures are kept, and as many are taken from another app at once. */
        const val MOST = 20
        private const val MOST_BYTES = 256L shl 20
        private const val DIGITS = 15
        private const val HIDDEN = "deleted-"
        private const val HOUR = 3_600_000L
    }
}
