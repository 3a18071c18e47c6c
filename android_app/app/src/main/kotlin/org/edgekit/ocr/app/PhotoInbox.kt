package org.edgekit.ocr.app

/**
 * Photos on their way from the camera to the screen that shows them: one that comes while no screen is there waits for
 * the next. On the main thread only.
 */
class PhotoInbox {
    private var waiting: String? = null
    private var open: ((String) -> Unit)? = null

    /** Hands over the session [id] of a photo. */
    fun put(id: String) {
        val there = open
        if (there == null) waiting = id else there(id)
    }

    /** Gives photos to [open] from now on, the waiting one at once. */
    fun listen(open: (String) -> Unit) {
        this.open = open
        waiting?.also { waiting = null }?.let(open)
    }

    /** Gives no more to [open]. A screen may go after the next one has come, whose photos they are then. */
    fun leave(open: (String) -> Unit) {
        if (this.open === open) this.open = null
    }
}
