package org.edgekit.ocr.app

import android.content.Intent
import org.edgekit.ocr.EngineException

/**
 * What a self-test is to do: compare, or with [bench] measure [rounds] rounds; what is null is taken from the settings.
 *
 * One number of threads and one power mode: a mode binds threads of the process for good, so that a second one would
 * be measured on the cores of the first. Who wants several starts the app anew for each.
 */
data class SelfTestOptions(
    val engine: String?,
    val bench: Boolean,
    val threads: Int?,
    val powerMode: String?,
    val rounds: Int,
    val report: String,
) {
    companion object {
        /** Extra (boolean): start at once. */
        const val RUN = "run"

        /** Extra (text): [VERIFY] or [BENCH]. */
        const val MODE = "mode"

        /** Extra (text): the engine, `opencv` or `paddle_lite`; the chosen one when it lacks. */
        const val ENGINE = "engine"

        /** Extra (text): the number of threads. */
        const val THREADS = "threads"

        /** Extra (text): the power mode, in Paddle Lite's words. */
        const val POWER = "power"

        /** Extra (text): how many rounds are measured. */
        const val ROUNDS = "rounds"

        /** Extra (text): the name of the report, letters, digits, `-` and `_` before `.json`. */
        const val REPORT = "report"

        const val VERIFY = "verify"
        const val BENCH = "bench"
        private const val DEFAULT_REPORT = "selftest.json"
        private const val DEFAULT_ROUNDS = 5
        private const val MOST_ROUNDS = 100
        private const val MOST_THREADS = 16
        private val reportName = Regex("[A-Za-z0-9_-]{1,64}\\.json")
        private val powerModeName = Regex("LITE_POWER_[A-Z_]{1,20}")
        private val engines = listOf(ENGINE_OPENCV, ENGINE_PADDLE_LITE)

        /** What the button on the screen starts. */
        val VERIFY_ONLY = SelfTestOptions(null, false, null, null, DEFAULT_ROUNDS, DEFAULT_REPORT)

        /** Reads the extras of [intent]; throws [EngineException] for a value that none of them may have. */
        fun of(intent: Intent): SelfTestOptions = SelfTestOptions(
            engine = intent.getStringExtra(ENGINE)?.also { require(it in engines, ENGINE, it) },
            bench = when (val mode = intent.getStringExtra(MODE) ?: VERIFY) {
                VERIFY -> false
                BENCH -> true
                else -> throw refused(MODE, mode)
            },
            threads = intent.getStringExtra(THREADS)?.let { number(THREADS, it, MOST_THREADS) },
            powerMode = intent.getStringExtra(POWER)?.also { require(powerModeName.matches(it), POWER, it) },
            rounds = intent.getStringExtra(ROUNDS)?.let { number(ROUNDS, it, MOST_ROUNDS) } ?: DEFAULT_ROUNDS,
            report = (intent.getStringExtra(REPORT) ?: DEFAULT_REPORT).also {
                require(reportName.matches(it), REPORT, it)
            },
        )

        private fun number(extra: String, word: String, most: Int): Int =
            word.toIntOrNull()?.takeIf { it in 1..most } ?: throw refused(extra, word)

        private fun require(fits: Boolean, extra: String, value: String) {
            if (!fits) throw refused(extra, value)
        }

        private fun refused(extra: String, value: String) =
            EngineException("the self-test does not know $extra '$value'", "correct the intent's extras")
    }
}
