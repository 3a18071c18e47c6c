package org.edgekit.ocr.app

/** Lets a number be spoken when it has changed, and not sooner than [gap] milliseconds after the last one. */
class Throttle(private val gap: Long, private var spoken: Int = 0) {
    private var last: Long? = null

    /** Returns whether [number] is to be spoken at [now], in milliseconds of any clock. */
    fun due(number: Int, now: Long): Boolean {
        val before = last
        if (number == spoken || before != null && now - before < gap) return false
        spoken = number
        last = now
        return true
    }
}

/** Bounds what is tried again by itself: [most] times within [span] milliseconds. */
class Retries(private val most: Int = 3, private val span: Long = 30_000) {
    private val tried = ArrayList<Long>()

    /** Returns whether one more try is allowed at [now], and counts it. */
    fun take(now: Long): Boolean {
        tried.removeAll { now - it >= span }
        return tried.size < most && tried.add(now)
    }
}
