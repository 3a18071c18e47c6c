package org.edgekit.ocr.app

import java.io.File
import java.io.IOException
import org.opencv.core.Core
import org.opencv.core.Mat

private val Session.turnFile get() = File(folder, "degrees")

/** The clockwise degrees (0, 90, 180, 270) that the user has turned the picture by; the file that came stays. */
val Session.degrees: Int
    get() = try {
        turnFile.readText().toInt().takeIf { it in listOf(90, 180, 270) } ?: 0
    } catch (error: IOException) {
        0
    } catch (error: NumberFormatException) {
        0
    }

/**
 * Turns the picture by 90 degrees more and forgets what was read; throws [IOException] when the storage is full or the
 * session was deleted.
 */
fun Session.turn() {
    forget()
    put(turnFile, ((degrees + 90) % 360).toString().toByteArray())
    // They show the picture as it stood before.
    preview.delete()
    thumb.delete()
}

/** Returns this image turned clockwise by [degrees]; it takes the image over, and releases it when it makes another. */
fun Mat.turnedBy(degrees: Int): Mat {
    val code = when (degrees) {
        90 -> Core.ROTATE_90_CLOCKWISE
        180 -> Core.ROTATE_180
        270 -> Core.ROTATE_90_COUNTERCLOCKWISE
        else -> return this
    }
    try {
        return Mat().also { Core.rotate(this, it, code) }
    } finally {
        release()
    }
}
