package org.edgekit.ocr

/** Adds up the seconds of named stages, in the order of their first use. */
internal class StageClock {
    private val begin = System.nanoTime()
    val seconds = LinkedHashMap<String, Double>()

    /** Runs [block] and adds its time to [stage]. */
    inline fun <R> time(stage: String, block: () -> R): R {
        val start = System.nanoTime()
        try {
            return block()
        } finally {
            add(stage, (System.nanoTime() - start) / 1e9)
        }
    }

    fun add(stage: String, spent: Double) {
        seconds[stage] = (seconds[stage] ?: 0.0) + spent
    }

    /** Sets `total` to the seconds since this clock was made. */
    fun finish(): Map<String, Double> {
        seconds["total"] = (System.nanoTime() - begin) / 1e9
        return seconds
    }
}
