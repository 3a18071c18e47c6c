package org.edgekit.ocr.app

/**
 * When a photo may be taken: once the lens has settled, or after [limit] milliseconds in any case.
 *
 * A trigger of the autofocus ends in a locked lens, sharp or not. Answers from before the trigger reached the camera
 * do not count: they may speak of an earlier lock. A camera whose lens does not move ([canFocus]) shoots at once.
 */
class FocusLock(private val canFocus: Boolean, private val limit: Long = 1000) {
    /** What the camera has to do. */
    enum class Step { NOTHING, TRIGGER, SHOOT }

    private enum class Lens { FREE, TRIGGERED, MOVING, LOCKED }

    private var lens = Lens.FREE
    private var photoSince: Long? = null

    /** A photo is asked for at [now], in milliseconds of any clock. */
    fun photo(now: Long): Step {
        if (!canFocus || lens == Lens.LOCKED) return Step.SHOOT
        photoSince = now
        return if (lens == Lens.FREE) trigger() else Step.NOTHING
    }

    /** The user has chosen what is to be sharp; a photo on its way keeps the lens that it has. */
    fun point(): Step = if (!canFocus || photoSince != null) Step.NOTHING else trigger()

    /** The camera says whether the lens is [locked], in its answer to the trigger itself or in a later one. */
    fun answered(locked: Boolean, toTrigger: Boolean, now: Long): Step {
        if (toTrigger && lens == Lens.TRIGGERED) lens = Lens.MOVING
        if (locked && lens == Lens.MOVING) lens = Lens.LOCKED
        return if (lens == Lens.LOCKED && photoSince != null) shoot() else overdue(now)
    }

    /** No answer has to come for the photo to be taken in time. */
    fun overdue(now: Long): Step {
        val since = photoSince ?: return Step.NOTHING
        return if (now - since >= limit) shoot() else Step.NOTHING
    }

    /** The lens may move by itself again. */
    fun free() {
        lens = Lens.FREE
        photoSince = null
    }

    private fun trigger(): Step {
        lens = Lens.TRIGGERED
        return Step.TRIGGER
    }

    private fun shoot(): Step {
        photoSince = null
        return Step.SHOOT
    }
}
