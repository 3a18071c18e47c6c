package org.edgekit.ocr.app

import java.io.File
import java.io.IOException

/** A file that exists while a call runs which may end the process: where it is found later, that call did. */
class CrashMarker(private val file: File) {
    /** Runs [work] with the marker set for process [pid]; an exception is no crash. */
    fun <T> during(pid: Int, work: () -> T): T {
        try {
            replace(file, pid.toString().toByteArray())
        } catch (error: IOException) {
            // A full storage must not stop the reading: then a crash is not noticed.
        }
        try {
            return work()
        } finally {
            file.delete()
        }
    }

    /**
     * Returns the process that ended in a marked call, and forgets it; null when there was none [since] a time in
     * milliseconds, such as that of the app's installation: what another version of it did says nothing of this one.
     */
    fun take(since: Long): Int? {
        val pid = try {
            if (file.isFile && file.lastModified() >= since) file.readText().toIntOrNull() ?: UNKNOWN else null
        } catch (error: IOException) {
            null
        }
        file.delete()
        return pid
    }

    companion object {
        /** In place of a process number that the file does not give. */
        const val UNKNOWN = -1
    }
}
