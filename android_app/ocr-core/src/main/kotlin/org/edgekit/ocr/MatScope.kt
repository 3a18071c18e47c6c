package org.edgekit.ocr

import org.opencv.core.Mat

/**
 * Owns Mats and releases them when it is closed, after an error too.
 *
 * Their pixels are native memory that the garbage collector does not see, so waiting for it would fill the device.
 */
class MatScope : AutoCloseable {
    private val owned = ArrayList<Mat>()

    /** Takes [mat] over and returns it. */
    fun <T : Mat> own(mat: T): T {
        owned.add(mat)
        return mat
    }

    /** Returns a new empty Mat. */
    fun mat(): Mat = own(Mat())

    override fun close() {
        for (mat in owned) mat.release()
        owned.clear()
    }
}

/** Runs [block] with a scope and releases its Mats. */
inline fun <R> matScope(block: (MatScope) -> R): R {
    val scope = MatScope()
    try {
        return block(scope)
    } finally {
        scope.close()
    }
}
